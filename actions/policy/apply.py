"""Loads a declared policy on trial: unless somebody confirms it in time, the kernel itself returns to what was in force before.

No process has to survive for that. What others put into the kernel is not touched: the policy is a table of its own, and a packet passes
only if every table lets it.
"""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from actions.policy import store
from actions.policy.table import TURN, held, load
from analysis.firewall.policy import script
from contracts.action import Command, Progress, Result
from contracts.errors import Refused, UsageError
from contracts.event import Kind, Severity
from contracts.host import Host
from contracts.options import ActionOptions
from contracts.policy import Policy, digest

APPLIED = Kind(
    name="firewall.policy_on_trial",
    meaning="A declared policy was loaded on trial: it goes by itself unless it is confirmed in time.",
    title="Firewall policy {digest} is on trial for {seconds:g} s, applied by {who}",
    severity=Severity.MEDIUM,
    fields={
        "digest": "str",
        "former": "str",
        "seconds": "float",
        "who": "str",
        "services": "list",
        "overridden": "list",
    },
    advice="Confirm it from a new session with `holdfast firewall policy confirm`.",
    ocsf_class=5019,
)

LEAST_S, MOST_S = 10, 3600


class Options(ActionOptions):
    """Settings of applying a policy; the policy itself is `firewall.policy`."""


class PolicyApply:
    """Puts a policy on trial."""

    name: ClassVar[str] = "policy_apply"
    kinds: ClassVar[tuple[Kind, ...]] = (APPLIED,)
    options: ClassVar[type[Options]] = Options
    arguments: ClassVar[Mapping[str, str]] = {"policy": "str", "seconds": "int", "overridden": "list"}
    """`policy` is a `contracts.policy.Policy` as JSON; `overridden` names what it cuts although it should not."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002  # it is quick
        """Load it; raises `UsageError`, `Refused`, `NftRefused`, `store.Damaged`, `store.NoFolder`."""
        policy = _policy(command)
        seconds = command.arguments.get("seconds", 120)
        if not isinstance(seconds, int) or not LEAST_S <= seconds <= MOST_S:
            raise UsageError(f"seconds must be a whole number from {LEAST_S} to {MOST_S}")
        who = command.who or "a rule"
        with TURN:
            former = store.confirmed(host, held(host).confirmed)
            text = script(former, policy, seconds)
            store.write(host, store.TRIAL, store.Saved(policy=policy, who=who, at_ms=store.now_ms(host)))
            load(host, text)
        event = APPLIED.event(
            digest(policy),
            digest=digest(policy),
            former="" if former is None else digest(former),
            seconds=float(seconds),
            who=who,
            services=list(policy.services),
            overridden=_texts(command.arguments.get("overridden")),
        )
        summary = f"policy {digest(policy)} is on trial for {seconds} s"
        answer = {"digest": digest(policy), "former": event.fields["former"], "seconds": seconds}
        return Result(summary=summary, events=() if command.dry_run else (event,), answer=answer)


def _policy(command: Command) -> Policy:
    try:
        policy = msgspec.json.decode(str(command.arguments.get("policy", "")), type=Policy)
    except msgspec.DecodeError as error:
        raise UsageError(
            f"this is no policy: {error}", advice="apply it with `holdfast firewall policy apply`"
        ) from error
    if not policy.declared:
        raise UsageError("the policy is empty", advice="declare at least one service under firewall.policy.services")
    if not policy.enforce:
        advice = "set firewall.policy.enforce to true in the agent's configuration"
        raise Refused("policies are declared here, but not enforced", advice=advice)
    return policy


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else []
