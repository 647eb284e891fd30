"""What the console's own findings mean, and what to do about an agent's state, in sentences."""

from console.store.records import Agent, FindingKind, State

FINDINGS: dict[FindingKind, tuple[str, str]] = {
    FindingKind.CONFLICT: (
        "Record conflict",
        "A different record came for a number that is held: someone altered the spool, or two hosts share one identity.",
    ),
    FindingKind.CHAIN: ("Chain broken", "A record does not follow from the one that is held: the spool was altered."),
    FindingKind.GAP: ("Gap", "Records are missing and the agent states no loss for them."),
    FindingKind.NEW_EPOCH: (
        "New chain",
        "The agent set its spool aside and began a new chain; what lay between is not held.",
    ),
    FindingKind.DUPLICATE: ("Duplicate", "Two running agents use this identity; revoke it and enrol both anew."),
    FindingKind.MALFORMED: ("Malformed report", "A report sent with this agent's certificate could not be understood."),
    FindingKind.CHALLENGE_FAILED: (
        "Challenge failed",
        "A watched file holds something else than before and the host told of no change: its reports on files cannot be trusted.",
    ),
    FindingKind.UNANSWERED: (
        "Challenge unanswered",
        "The host did not prove what watched files hold when this console asked; that is not known to be in order.",
    ),
    FindingKind.IMPERSONATION: ("Impersonation", "A report named another agent than its certificate does."),
}

_ADVICE = {
    State.DOWN: "Whatever this page shows is as old as the last heartbeat. Check that the server runs and reaches this console; "
    "there: systemctl status holdfast-agent, then holdfast diagnose.",
    State.LATE: "A heartbeat is overdue. If none comes, the server is called down.",
    State.NEVER: "Nothing is known about this server yet. There: systemctl status holdfast-agent, then holdfast diagnose.",
    State.DUPLICATE: "Two machines report under this identity, so nothing here can be trusted. Revoke it and enrol both servers anew.",
    State.REVOKED: "Its certificate is revoked: reports are refused and what is shown is from before.",
}


def advice(agent: Agent) -> str:
    """Return what to know and do about the agent's state, "" when there is nothing."""
    if agent.state is State.DEGRADED:
        return _degraded(agent)
    return _ADVICE.get(agent.state, "")


def _degraded(agent: Agent) -> str:
    reasons = []
    if agent.sights.blind:
        reasons.append("something cannot be seen (see Coverage)")
    if agent.sights.workers_down:
        reasons.append("a worker does not work (see Workers)")
    if agent.problems:
        reasons.append("its reports are not in order (see what this console found)")
    return f"Degraded, because {' and '.join(reasons)}." if reasons else ""
