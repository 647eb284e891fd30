"""Loads a declared policy on trial: unless somebody confirms it in time, the kernel itself returns to what was in force before.

No process has to survive for that. What others put into the kernel is not touched: the policy is a table of its own, and a packet passes
only if every table lets it. A policy that cuts somebody who is logged in is refused here, whoever asks, until that was said twice.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from actions.policy import store
from actions.policy.cuts import cuts
from actions.policy.table import TURN, check, held, load
from analysis.firewall.policy import script
from contracts.action import Command, Progress, Result
from contracts.codec import UNDECODABLE
from contracts.errors import Refused, UsageError
from contracts.event import Kind, Severity
from contracts.host import Host
from contracts.options import ActionOptions
from contracts.outcome import Failed
from contracts.policy import Policy, digest
from contracts.subjects import datapath

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
TWICE = 2
_MOST_WORDS = 2000
_SPARE_S = 0.5
"""So long after its end, the kernel no longer lists what ended the trial."""
_PEER = re.compile(r"the SSH session of .* from (\S+) to port (\d+)")


class Options(ActionOptions):
    """Settings of applying a policy; the policy itself is `firewall.policy`."""


class PolicyApply:
    """Puts a policy on trial."""

    name: ClassVar[str] = "policy_apply"
    kinds: ClassVar[tuple[Kind, ...]] = (APPLIED,)
    options: ClassVar[type[Options]] = Options
    arguments: ClassVar[Mapping[str, str]] = {
        "policy": "str",
        "seconds": "int",
        "cuts": "list",
        "told": "int",
    }
    """`policy` is a `contracts.policy.Policy` as JSON; `cuts` what else it would cut, as far as whoever asks knows more than this worker
    (the session he sits in); `told` how often he said that it may be cut."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002  # it is quick
        """Load it, unless it cuts what it should not and that was not said twice.

        Raises `UsageError`, `Refused`, `NftRefused`, `Unavailable`, `store.Damaged`, `store.NoFolder`.
        """
        policy = _policy(command)
        seconds = command.arguments.get("seconds", 120)
        if not isinstance(seconds, int) or not LEAST_S <= seconds <= MOST_S:
            raise UsageError(f"seconds must be a whole number from {LEAST_S} to {MOST_S}")
        who = command.who or "a rule"
        cut = _cuts(host, policy, command)
        if cut and not _is_told(command):
            return _refused(cut)
        with TURN:
            former = store.confirmed(host, held(host).confirmed)
            text = script(former, policy, seconds)
            check(host, text)  # what nft refuses must not take the place of the saved trial that may be under way
            store.write(host, store.TRIAL, store.Saved(policy=policy, who=who, at_ms=store.now_ms(host)))
            load(host, text)
        event = APPLIED.event(
            digest(policy),
            digest=digest(policy),
            former="" if former is None else digest(former),
            seconds=float(seconds),
            who=who,
            services=list(policy.services),
            overridden=cut,
        )
        summary = f"policy {digest(policy)} is on trial for {seconds} s"
        answer = {"digest": digest(policy), "former": event.fields["former"], "seconds": seconds, "cuts": cut}
        events = () if command.dry_run else (event,)
        return Result(summary=summary, events=events, answer=answer, looks={datapath.SUBJECT: seconds + _SPARE_S})


def _policy(command: Command) -> Policy:
    try:
        policy = msgspec.json.decode(str(command.arguments.get("policy", "")), type=Policy)
    except UNDECODABLE as error:
        raise UsageError(
            f"this is no policy: {error}", advice="apply it with `holdfast firewall policy apply`"
        ) from error
    if not policy.declared:
        raise UsageError("the policy is empty", advice="declare at least one service under firewall.policy.services")
    if not policy.enforce:
        advice = "set firewall.policy.enforce to true in the agent's configuration"
        raise Refused("policies are declared here, but not enforced", advice=advice)
    return policy


def _cuts(host: Host, policy: Policy, command: Command) -> list[str]:
    """Return what the policy would cut: what was handed in, and what this worker finds besides."""
    given = command.arguments.get("cuts")
    named = [str(item) for item in given] if isinstance(given, (list, tuple)) else []
    found = [line for line in cuts(host, policy) if not any(_is_same(line, each) for each in named)]
    return [*named, *found]


def _is_same(one: str, other: str) -> bool:
    """Say whether two lines speak of the same session (by peer and port: it goes by several names), or are one."""
    first, second = _PEER.search(one), _PEER.search(other)
    return one == other or (first is not None and second is not None and first.groups() == second.groups())


def _is_told(command: Command) -> bool:
    told = command.arguments.get("told", 0)
    return isinstance(told, int) and told >= TWICE


def _refused(cut: list[str]) -> Result:
    """Refuse, with everything that would be cut as the answer."""
    advice = "let it in, or say twice that it may be cut: --yes-cut --yes-cut-again"
    error = f"the policy was not applied: it {'; it '.join(cut)}"[:_MOST_WORDS]
    return Result(outcome=Failed(error=f"{error}; {advice}", permanent=True), summary=error, answer={"cuts": cut})
