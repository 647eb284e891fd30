"""Ends a trial at once, or removes the confirmed policy: what was in force before is back, in one transaction."""

from collections.abc import Mapping
from typing import ClassVar

from actions.policy import store
from actions.policy.confirm import NoTrial
from actions.policy.table import TURN, Held, held, load
from analysis.firewall.policy import REMOVE, script
from contracts.action import Command, Progress, Result
from contracts.event import Kind, Severity
from contracts.host import Host
from contracts.options import ActionOptions
from contracts.policy import Policy, digest

REVERTED = Kind(
    name="firewall.policy_reverted",
    meaning="A trial was ended, or the confirmed policy was removed.",
    title="Firewall policy {digest} taken back by {who}; in force now: {in_force}",
    severity=Severity.MEDIUM,
    fields={"digest": "str", "in_force": "str", "who": "str"},
    ocsf_class=5019,
)


class Options(ActionOptions):
    """Settings of reverting a policy."""


class PolicyRevert:
    """Takes a policy back."""

    name: ClassVar[str] = "policy_revert"
    kinds: ClassVar[tuple[Kind, ...]] = (REVERTED,)
    options: ClassVar[type[Options]] = Options
    arguments: ClassVar[Mapping[str, str]] = {"all": "bool"}
    """`all`: not the trial alone, but the confirmed policy too."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002  # it is quick
        """Revert; raises `NoTrial` when there is nothing to take back."""
        everything = bool(command.arguments.get("all", False))
        who = command.who or "a rule"
        with TURN:
            state = held(host)
            remaining = None if everything else _remaining(host, state)
            if everything:
                # First the file: a guard or a boot in between must not bring back what is being removed.
                store.write(host, store.POLICY, store.Saved(policy=None, who=who, at_ms=store.now_ms(host)))
            load(host, REMOVE if remaining is None else script(remaining))
        gone = ", ".join(filter(None, (state.trial, state.confirmed if everything else ""))) or "none"
        left = "none" if remaining is None else digest(remaining)
        event = REVERTED.event(gone, digest=gone, in_force=left, who=who)
        summary = f"policy {gone} is taken back; in force now: {left}"
        answer = {"digest": gone, "remaining": "" if remaining is None else left}
        return Result(summary=summary, events=() if command.dry_run else (event,), answer=answer)


def _remaining(host: Host, state: Held) -> Policy | None:
    if not state.trial:
        advice = "remove the confirmed policy with `holdfast firewall policy revert --all`"
        raise NoTrial("no policy is on trial", advice=advice if state.confirmed else "there is nothing to take back")
    return store.confirmed(host, state.confirmed)
