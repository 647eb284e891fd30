"""The guard: keeps the last good ruleset, and brings back what of it was lost; never against a person.

What `holdfast` itself changes is no loss, because it changes the saved state first. Whoever works on the firewall announces it, and the
guard rests (`holdfast firewall guard pause`). The rule that calls the guard bounds how often it may act (`firewall.guard.at_most`).
"""

import time
from collections.abc import Mapping
from typing import ClassVar

from actions.policy import good, store
from actions.policy.table import TURN, Held, NftRefused, held, load, words
from analysis.firewall.policy import TABLE, rule_counts, script
from contracts.action import Command, Progress, Result
from contracts.errors import Unavailable, UsageError
from contracts.event import Event, Kind, Severity
from contracts.host import Host
from contracts.options import ActionOptions
from contracts.outcome import Failed
from contracts.policy import Policy, digest
from contracts.proof import Proof, Verb

RESTORED = Kind(
    name="firewall.guard_restored",
    meaning="The firewall had lost what was accepted, and the guard brought it back.",
    title="Firewall restored: {tables} ({reason})",
    severity=Severity.HIGH,
    fields={"tables": "list", "reason": "str", "milliseconds": "float", "accepted_by": "str"},
    attack=("T1562.004",),
    advice="Find out who opened the firewall: `holdfast events --kind 'firewall.*'`.",
    ocsf_class=5019,
)
HELD_BACK = Kind(
    name="firewall.guard_held_back",
    meaning="The firewall has lost something that was accepted, and the guard left it so.",
    title="Firewall not restored: {reason}",
    severity=Severity.HIGH,
    fields={"reason": "str", "tables": "list"},
    advice="Load the ruleset again, or accept the firewall as it is with `holdfast firewall accept`.",
    ocsf_class=5019,
)
NOT_RESTORED = Kind(
    name="firewall.guard_failed",
    meaning="The guard tried to bring the firewall back, and it was refused.",
    title="Firewall could not be restored: {reason}",
    severity=Severity.CRITICAL,
    fields={"reason": "str", "tables": "list"},
    attack=("T1562.004",),
    advice="Load the ruleset by hand, then run `holdfast firewall accept`.",
    ocsf_class=5019,
)
SAVED = Kind(
    name="firewall.good_saved",
    meaning="Today's ruleset was saved as the one that the guard restores.",
    title="Firewall saved as good by {who}: {tables}",
    severity=Severity.INFORMATIONAL,
    fields={"who": "str", "tables": "list", "unsaved": "list"},
    ocsf_class=5019,
)
PAUSED = Kind(
    name="firewall.guard_paused",
    meaning="The guard rests for an announced time, or was called back before it was over.",
    title="Firewall guard rests for {seconds:g} s, said {who}",
    severity=Severity.LOW,
    fields={"seconds": "float", "who": "str"},
    attack=("T1562.004",),
    ocsf_class=5019,
)

MOST_PAUSE_S = 24 * 3600
PROOF_VALID_S = 30 * 86400
SETTLE_S = 0.3
_MOST_REMEMBERED = 1000
_answered: dict[str, int] = {}
"""The ruleset's generation at which nothing was missing, or was left so, by state folder."""


class Options(ActionOptions):
    """Settings of the guard's deeds; whether it guards at all is `firewall.guard`."""


class GuardSave:
    """Keeps today's ruleset as the good one."""

    name: ClassVar[str] = "guard_save"
    kinds: ClassVar[tuple[Kind, ...]] = (SAVED,)
    options: ClassVar[type[Options]] = Options
    arguments: ClassVar[Mapping[str, str]] = {}

    def __init__(self, options: Options) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002  # it is quick
        """Save; raises `Unavailable`, `store.NoFolder`."""
        who = command.who or "a rule"
        with TURN:
            saved = good.take(host, who)
            store.write(host, store.GOOD, saved)
        tables, unsaved = sorted([*saved.tables, *saved.iptables]), [f"{n}: {why}" for n, why in saved.unsaved.items()]
        event = SAVED.event("ruleset", who=who, tables=tables, unsaved=unsaved)
        summary = f"saved {', '.join(tables) or 'an empty ruleset'}"
        if unsaved:
            summary += f"; could not save {'; '.join(unsaved)}"
        return Result(summary=summary, events=_real(command, event), answer={"tables": tables, "unsaved": unsaved})


class GuardPause:
    """Lets the guard rest."""

    name: ClassVar[str] = "guard_pause"
    kinds: ClassVar[tuple[Kind, ...]] = (PAUSED,)
    options: ClassVar[type[Options]] = Options
    arguments: ClassVar[Mapping[str, str]] = {"seconds": "int"}
    """0 ends the pause."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002  # it is quick
        """Pause; raises `UsageError`, `store.NoFolder`."""
        seconds = command.arguments.get("seconds", -1)
        if not isinstance(seconds, int) or not 0 <= seconds <= MOST_PAUSE_S:
            raise UsageError(f"the guard rests for at most {MOST_PAUSE_S // 3600} hours", advice="write 30m or 2h")
        who = command.who or "a rule"
        until_ms = store.now_ms(host) + seconds * 1000
        store.write(host, store.PAUSE, store.Pause(until_ms=until_ms, who=who))
        event = PAUSED.event("guard", seconds=float(seconds), who=who)
        summary = f"the guard rests for {seconds} s" if seconds else "the guard is awake"
        return Result(summary=summary, events=_real(command, event), answer={"until_ms": until_ms})


class GuardRestore:
    """Brings back what was lost."""

    name: ClassVar[str] = "guard_restore"
    kinds: ClassVar[tuple[Kind, ...]] = (RESTORED, HELD_BACK, NOT_RESTORED)
    options: ClassVar[type[Options]] = Options
    arguments: ClassVar[Mapping[str, str]] = {"times": "int", "per_s": "float"}
    """How often it may restore within how many seconds."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002  # it is quick
        """Restore in one transaction (tables of iptables one by one after it); raises `Unavailable`, `store.Damaged`, `store.NoFolder`."""
        with TURN:
            generation = _generation(host)
            # One flush is many events: nothing has changed since the last of them was answered.
            if command.cause and generation is not None and _answered.get(host.state) == generation:
                return Result(answer={"tables": []})
            saved = store.read(host, store.GOOD, store.Good)
            policy, missing = _settled(host, saved)
            nothing = saved is None and policy is None
            why_not = "" if not (missing or nothing) else _why_not(host, nothing, command)
            if generation is not None and (why_not or not missing):
                _answered[host.state] = generation
            if why_not:
                return _left(command, why_not, missing)
            if not missing:
                summary = "" if command.cause else "nothing that was accepted is missing"
                return Result(summary=summary, answer={"tables": []})
            try:
                _restore(host, saved or store.Good(who="", at_ms=0), policy if TABLE in missing else None, missing)
            except NftRefused as error:
                event = NOT_RESTORED.event("ruleset", reason=str(error), tables=sorted(missing))
                return Result(outcome=Failed(error=str(error)), summary=str(error), events=_real(command, event))
            if command.cause:
                _remember(host)
        return _restored(host, command, saved.who if saved is not None else "", missing)


def _generation(host: Host) -> int | None:
    try:
        return host.nftables.generation()
    except Unavailable:
        return None  # then it is looked at in full each time


def _settled(host: Host, saved: store.Good | None) -> tuple[Policy | None, dict[str, str]]:
    """Return the confirmed policy, and what is lost and still is a moment later: tools that reload bring their tables back."""
    policy, first = _missing(host, saved)
    if not first:
        return policy, {}
    time.sleep(SETTLE_S)
    policy, second = _missing(host, saved)
    return policy, {name: why for name, why in second.items() if name in first}


def _missing(host: Host, saved: store.Good | None) -> tuple[Policy | None, dict[str, str]]:
    """Return the confirmed policy, and what is lost now, by table: why."""
    missing = {} if saved is None else good.lost(saved, good.current(host))
    state = held(host)
    policy = _own_policy(host, state)
    own = "" if policy is None else _own_loss(policy, state)
    return policy, ({**missing, TABLE: own} if own else missing)


def _own_policy(host: Host, state: Held) -> Policy | None:
    """Return the policy that is to be in force, also where the worker ended before it had written what was confirmed."""
    try:
        return store.confirmed(host, state.confirmed)
    except store.Damaged:
        saved = store.read(
            host, store.POLICY, store.Saved
        )  # what the kernel holds is not ours: what was confirmed here counts
        return None if saved is None else saved.policy


def _own_loss(policy: Policy, state: Held) -> str:
    """Return what is wrong with our own table although `policy` is confirmed; a trial over it is not wrong."""
    if not state.present:
        return "is gone"
    if state.dormant:
        return "is dormant"
    wanted = rule_counts(policy)
    if state.confirmed != digest(policy) or any(state.rules.get(chain) != count for chain, count in wanted.items()):
        return "does not hold the confirmed policy any more"
    return f"has rules of others in {', '.join(state.foreign)}" if state.foreign else ""


def _why_not(host: Host, nothing: bool, command: Command) -> str:
    """Return why the guard leaves the firewall as it is, "" when it does not."""
    now_ms = store.now_ms(host)
    pause = store.read(host, store.PAUSE, store.Pause)
    if pause is not None and 0 < pause.until_ms - now_ms <= MOST_PAUSE_S * 1000:  # more: the clock was set back
        return f"the guard rests, because {pause.who} announced work on the firewall"
    if nothing:
        return "nothing was accepted yet; run `holdfast firewall accept`"
    times, per_s = command.arguments.get("times"), command.arguments.get("per_s")
    if isinstance(times, int) and isinstance(per_s, (int, float)):
        history = store.read(host, store.HISTORY, store.History) or store.History()
        recent = sum(0 <= now_ms - at_ms < per_s * 1000 for at_ms in history.restored_ms)
        if recent >= times:
            return f"it was restored {recent} times within the last {per_s / 60:.0f} minutes already"
    return ""


def _remember(host: Host) -> None:
    history = store.read(host, store.HISTORY, store.History) or store.History()
    latest = (*history.restored_ms[1 - _MOST_REMEMBERED :], store.now_ms(host))
    store.write(host, store.HISTORY, store.History(restored_ms=latest))


def _restore(host: Host, saved: store.Good, policy: Policy | None, missing: Mapping[str, str]) -> None:
    tables = {name: text for name, text in saved.tables.items() if name in missing}
    script_text = good.replacing(tables) + (script(policy) if policy is not None else "")
    if script_text:
        load(host, script_text)
    for name, text in saved.iptables.items():
        if name in missing:
            done = good.load_iptables(host, name, text)
            if done.code != 0:
                raise NftRefused(f"{name}: {words(done)}")


def _left(command: Command, reason: str, missing: Mapping[str, str]) -> Result:
    event = HELD_BACK.event("ruleset", reason=reason, tables=sorted(missing))
    return Result(summary=f"not restored: {reason}", events=_real(command, event), answer={"tables": sorted(missing)})


def _restored(host: Host, command: Command, who: str, missing: Mapping[str, str]) -> Result:
    """State what was brought back, and how long after it was seen to be lost."""
    at_ms = store.now_ms(host)
    since = command.event.observed_ms if command.event is not None and command.event.observed_ms else at_ms
    reason = "; ".join(f"{name} {why}" for name, why in missing.items())
    tables, took = sorted(missing), max(0, at_ms - since)
    event = RESTORED.event("ruleset", tables=tables, reason=reason, milliseconds=float(took), accepted_by=who)
    proof = Proof(
        subject="firewall",
        verb=Verb.RESTORED,
        at_ms=at_ms,
        valid_s=PROOF_VALID_S,
        numbers={"tables": float(len(tables)), "milliseconds": float(took)},
        detail=reason,
    )
    summary = f"restored {', '.join(tables)}"
    return Result(summary=summary, events=_real(command, event), proof=proof, answer={"tables": tables})


def _real(command: Command, event: Event) -> tuple[Event, ...]:
    return () if command.dry_run else (event,)
