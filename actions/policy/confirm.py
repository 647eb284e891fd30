"""Makes the policy on trial permanent, in one transaction that the kernel refuses if the trial has run out meanwhile."""

from collections.abc import Mapping
from typing import ClassVar

from actions.policy import store
from actions.policy.table import TURN, NftRefused, held, load
from analysis.firewall.policy import confirming
from contracts.action import Command, Progress, Result
from contracts.errors import HoldfastError
from contracts.event import Kind, Severity
from contracts.host import Host
from contracts.options import ActionOptions
from contracts.policy import Policy, digest

CONFIRMED = Kind(
    name="firewall.policy_confirmed",
    meaning="The policy that was on trial was confirmed: it holds from now on, and after every boot.",
    title="Firewall policy {digest} confirmed by {who}",
    severity=Severity.INFORMATIONAL,
    fields={"digest": "str", "who": "str", "services": "list"},
    ocsf_class=5019,
)


class NoTrial(HoldfastError):
    """No policy is on trial, or its time is over."""

    exit_code = 2


class Options(ActionOptions):
    """Settings of confirming a policy."""


class PolicyConfirm:
    """Ends a trial well."""

    name: ClassVar[str] = "policy_confirm"
    kinds: ClassVar[tuple[Kind, ...]] = (CONFIRMED,)
    options: ClassVar[type[Options]] = Options
    arguments: ClassVar[Mapping[str, str]] = {"digest": "str"}
    """`digest` is that of the policy that is meant, or "" for whichever is on trial."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002  # it is quick
        """Confirm; raises `NoTrial`, `NftRefused`, `store.Damaged`, `store.NoFolder`."""
        who = command.who or "a rule"
        with TURN:
            policy = _on_trial(host, str(command.arguments.get("digest", "")))
            try:
                load(host, confirming(policy))
            except NftRefused as error:
                if not held(host).left_s:
                    raise _over() from error
                raise
            store.write(host, store.POLICY, store.Saved(policy=policy, who=who, at_ms=store.now_ms(host)))
        event = CONFIRMED.event(digest(policy), digest=digest(policy), who=who, services=list(policy.services))
        summary = f"policy {digest(policy)} holds from now on"
        return Result(summary=summary, events=() if command.dry_run else (event,), answer={"digest": digest(policy)})


def _on_trial(host: Host, wanted: str) -> Policy:
    """Return the policy whose trial is under way."""
    state, saved = held(host), store.read(host, store.TRIAL, store.Saved)
    if not state.trial:
        holds = f"; {state.confirmed} was confirmed before and holds" if state.confirmed else ""
        raise NoTrial(f"no policy is on trial{holds}", advice="apply one with `holdfast firewall policy apply`")
    if not state.left_s:
        raise _over()
    if saved is None or saved.policy is None or digest(saved.policy) != state.trial:
        advice = "apply it anew with `holdfast firewall policy apply`"
        raise store.Damaged(f"the policy on trial ({state.trial}) is not the one that was applied here", advice=advice)
    if wanted and wanted != state.trial:
        advice = "look at it with `holdfast firewall policy plan`"
        raise NoTrial(f"the policy {wanted} is not on trial; {state.trial} is", advice=advice)
    return saved.policy


def _over() -> NoTrial:
    advice = "apply it again with `holdfast firewall policy apply`"
    return NoTrial("the trial is over, and what was in force before is back", advice=advice)
