"""Whether what a configuration speaks of exists: kinds of events, their fields, actions and their arguments."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.settings import AgentSettings, Compare, Rule, Vocabulary
from contracts.event import Kind, Severity
from settings.errors import ConfigError, nearest
from settings.load import Loaded

REFERENCE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
"""How an argument refers to a field of the event; alone it keeps the field's type, within a text it becomes part of it."""
_ALWAYS = {"key": "str", "severity": "str"}
"""What every event has and a rule may match besides the kind's own fields."""


def check(loaded: Loaded[AgentSettings], vocabulary: Vocabulary) -> list[ConfigError]:
    """Return everything in `loaded` that refers to something that is not there, with positions."""
    findings = [*_severities(loaded.value, vocabulary), *_enrolment(loaded.value)]
    for index, rule in enumerate(loaded.value.rules):
        findings += [(f"rules[{index}]{path}", message) for path, message in _rule(rule, vocabulary)]
    return [loaded.error(path, message) for path, message in findings]


def _severities(settings: AgentSettings, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    for kind in settings.events.severity:
        if kind not in vocabulary.kinds:
            yield f"events.severity.{kind}", f'there is no kind of event "{kind}"{nearest(kind, vocabulary.kinds)}'


def _enrolment(settings: AgentSettings) -> Iterator[tuple[str, str]]:
    if settings.console.token and not settings.console.url:
        yield "console.token", "a token without an address enrols nowhere; write console.url too"


def _rule(rule: Rule, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    kinds = [kind for name, kind in vocabulary.kinds.items() if rule.concerns(name)]
    if not kinds:
        yield ".when", f'no kind of event is called "{rule.when}"{nearest(rule.when, vocabulary.kinds)}'
    else:
        yield from _match(rule, kinds)
    if rule.do not in vocabulary.actions:
        yield ".do", f'there is no action "{rule.do}"{nearest(rule.do, vocabulary.actions)}'
        return
    yield from _arguments(rule, vocabulary.actions[rule.do], kinds)


def _match(rule: Rule, kinds: Sequence[Kind]) -> Iterator[tuple[str, str]]:
    types = {**_ALWAYS, **{name: kind for each in kinds for name, kind in each.fields.items()}}
    for name, wanted in rule.match.items():
        if name not in types:
            yield f".match.{name}", f'{rule.when} has no field "{name}"{nearest(name, types)}'
            continue
        problem = _mismatch(wanted, types[name]) or (_severity(wanted) if name == "severity" else "")
        if problem:
            yield f".match.{name}", problem


def _mismatch(wanted: Any, kind: str) -> str:
    """Return why a condition can never hold for a field of type `kind`, or nothing."""
    if isinstance(wanted, Compare):
        if wanted.numeric and kind not in {"int", "float"}:
            return f"the field holds {_noun(kind)}, which above, below, at_least and at_most cannot compare; use glob or a value"
        if wanted.glob is not None and kind not in {"str", "list"}:
            return f"the field holds {_noun(kind)}, which glob cannot match; use a value, above or below"
        wanted = wanted.other_than
    for value in wanted if isinstance(wanted, tuple) else (wanted,):
        if not _is(value, kind):
            return f"the field holds {_noun(kind)}, and {value!r} is none; such a rule would never act"
    return ""


def _severity(wanted: Any) -> str:
    names = [severity.name.lower() for severity in Severity]
    values = wanted.other_than if isinstance(wanted, Compare) else wanted if isinstance(wanted, tuple) else (wanted,)
    unknown = next((value for value in values if value not in names), None)
    return "" if unknown is None else f'there is no severity "{unknown}"{nearest(str(unknown), names)}'


def _arguments(rule: Rule, arguments: Mapping[str, str], kinds: Sequence[Kind]) -> Iterator[tuple[str, str]]:
    types = {**_ALWAYS, "kind": "str", **{name: kind for each in kinds for name, kind in each.fields.items()}}
    for name, value in rule.arguments.items():
        if name not in arguments:
            yield f".with.{name}", f'the action {rule.do} takes no "{name}"{nearest(name, arguments)}'
            continue
        unknown = [each for each in _referred(value) if each not in types]
        if unknown and kinds:
            yield f".with.{name}", f'{rule.when} has no field "{unknown[0]}"{nearest(unknown[0], types)}'
            continue
        problem = _unfit(value, arguments[name], types)
        if problem and not unknown:
            yield f".with.{name}", f"{rule.do} wants {_noun(arguments[name])} here, and {problem}"


def _referred(value: Any) -> list[str]:
    """Return the names of the event's fields that a value refers to."""
    return [
        name
        for text in (value if isinstance(value, tuple) else (value,))
        if isinstance(text, str)
        for name in REFERENCE.findall(text)
    ]


def _unfit(value: Any, wanted: str, types: Mapping[str, str]) -> str:
    """Return why a value cannot be an argument of the type `wanted`, or nothing."""
    if isinstance(value, tuple):
        return "" if wanted == "list" else "a list is none"
    whole = REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if whole is not None:
        given = types[whole[1]]
        return (
            ""
            if given == wanted or (given, wanted) == ("int", "float")
            else f"the field {whole[1]} holds {_noun(given)}"
        )
    return "" if _is(value, wanted) and not (isinstance(value, str) and wanted == "list") else f"{value!r} is none"


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool) or kind == "bool":
        return isinstance(value, bool) and kind == "bool"
    if isinstance(value, (int, float)):
        return kind in {"int", "float"} and (kind == "float" or isinstance(value, int))
    return kind in {"str", "list"}


def _noun(kind: str) -> str:
    return {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}.get(kind, "a list")
