"""Answers events by rules: kind and match say when, an action says what, and nothing runs for real until the rule says so.

A rule never answers what its own action caused: every event that a command leads to carries the rules on its trail. How often a rule
may act is bounded, because an attacker chooses how often events happen.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from agent.clock import Clock
from agent.kinds import ACTION_FAILED, ACTION_HELD_BACK
from agent.settings import Rule
from contracts.action import Command
from contracts.event import Envelope, Event, Value
from contracts.record import Record

_REFERENCE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list,),
}


DEADLINE_S = 120.0
"""How long a deed may take whose action says nothing else."""


class Deed(Record):
    """An action that rules may call for: the worker that hosts it and what it takes, by name, as an event field type."""

    action: str
    worker: str
    arguments: dict[str, str] = {}
    deadline_s: float = DEADLINE_S


class Unfit(Exception):
    """An event does not give an action what its rule promised."""


Run = Callable[[Deed, Command, str, frozenset[str]], None]
"""Carries out a command for the rule named third; the last is the trail that its results are to carry."""


class Responder:
    """Holds the rules; `respond` starts what they call for and returns the events that say what was not started."""

    def __init__(
        self,
        rules: Sequence[Rule],
        deeds: Mapping[str, Deed],
        run: Run,
        clock: Clock,
        new_id: Callable[[], str],
        guard: Sequence[Rule] = (),
    ) -> None:
        self._run, self._clock, self._new_id = run, clock, new_id
        self._rules: tuple[_Bound, ...] = ()
        self.reconfigure(rules, deeds, guard)

    def reconfigure(self, rules: Sequence[Rule], deeds: Mapping[str, Deed], guard: Sequence[Rule] = ()) -> None:
        """Take these rules, and those of `agent.guard`; one that stays as it was keeps count of how often it acted."""
        former = {bound.name: bound for bound in self._rules}
        fresh = []
        named = [(f"rules[{number}]", rule) for number, rule in enumerate(rules)]
        named += [(f"guard[{number}]", rule) for number, rule in enumerate(guard)]
        for name, rule in named:
            if rule.do not in deeds:  # the action is switched off, and with it the rule
                continue
            bound = _Bound(name, rule, deeds[rule.do])
            kept = former.get(bound.name)
            if kept is not None and kept.rule == rule:
                bound.acted, bound.told_s = kept.acted, kept.told_s
            fresh.append(bound)
        self._rules = tuple(fresh)

    def respond(self, envelopes: Sequence[Envelope], trail: frozenset[str] = frozenset()) -> list[Event]:
        """Answer `envelopes`, which the commands of the rules in `trail` led to."""
        said: list[Event] = []
        if not self._rules:
            return said
        for envelope in envelopes:
            for bound in self._rules:
                if bound.name not in trail and bound.rule.matches(envelope.event):
                    said.extend(self._answer(bound, envelope, trail))
        return said

    def _answer(self, bound: "_Bound", envelope: Envelope, trail: frozenset[str]) -> list[Event]:
        now, action = self._clock.monotonic(), bound.deed.action
        if not bound.may_act(now):
            if not bound.may_tell(now):
                return []
            return [ACTION_HELD_BACK.event(bound.name, rule=bound.name, action=action, cause=envelope.id)]
        try:
            arguments = fill(bound.rule.arguments, bound.deed.arguments, envelope.event)
        except Unfit as error:
            return [ACTION_FAILED.event(action, rule=bound.name, action=action, detail=str(error), cause=envelope.id)]
        command = Command(
            id=self._new_id(),
            action=action,
            arguments=arguments,
            cause=envelope.id,
            dry_run=bound.rule.dry_run,
            event=envelope.event,
        )
        self._run(bound.deed, command, bound.name, trail | {bound.name})
        return []


class _Bound:
    """A rule with its action and the times it acted."""

    def __init__(self, name: str, rule: Rule, deed: Deed) -> None:
        self.name, self.rule, self.deed = name, rule, deed
        self.acted: deque[float] = deque(maxlen=rule.at_most.times)
        self.told_s: float | None = None

    def may_act(self, now: float) -> bool:
        """Count one more act, if the limit allows it."""
        full = len(self.acted) == self.rule.at_most.times
        if full and now - self.acted[0] < self.rule.at_most.per:
            return False
        self.acted.append(now)
        return True

    def may_tell(self, now: float) -> bool:
        """Whether to say that the limit is reached: once per period."""
        if self.told_s is not None and now - self.told_s < self.rule.at_most.per:
            return False
        self.told_s = now
        return True


def fill(template: Mapping[str, object], types: Mapping[str, str], event: Event) -> dict[str, Value]:
    """Return the arguments of an action: `{name}` replaced by the event's field, and each of the type the action declares.

    Raises `Unfit` when the event lacks a field or the type is another: an action is never run on a guess.
    """
    filled: dict[str, Value] = {}
    for name, wanted in template.items():
        value = _resolve(wanted, event)
        expected = _TYPES.get(types.get(name, "str"), (str,))
        if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
            raise Unfit(f"argument {name} must be {types.get(name, 'str')}, and {event.kind} gives {value!r}")
        filled[name] = value
    return filled


def _resolve(wanted: object, event: Event) -> Value:
    if isinstance(wanted, (list, tuple)):
        return [str(_resolve(item, event)) for item in wanted]
    if not isinstance(wanted, str):
        return wanted if isinstance(wanted, (bool, int, float)) else None
    whole = _REFERENCE.fullmatch(wanted)
    if whole is not None:
        return _field(whole[1], event)
    return _REFERENCE.sub(lambda match: str(_field(match[1], event)), wanted)


def _field(name: str, event: Event) -> Value:
    if name in event.fields:
        return event.fields[name]
    own = {"key": event.key, "kind": event.kind, "severity": event.severity.name.lower()}
    if name not in own:
        raise Unfit(f"{event.kind} about {event.key} has no field {name}")
    return own[name]
