"""States who changed the ruleset, as far as the kernel and /proc told while it happened. What is not known is absent, never invented."""

from collections.abc import Sequence

from contracts.event import Event, Kind, Lane, Severity
from contracts.host import Committer

RULESET_COMMITTED = Kind(
    name="firewall.ruleset_committed",
    meaning="A process changed the nftables ruleset; what it changed, other events of the same moment say.",
    title="Ruleset changed by {by}",
    severity=Severity.INFORMATIONAL,
    fields={
        "by": "str",
        "process": "str",
        "pid": "int",
        "user": "str",
        "login": "str",
        "unit": "str",
        "container": "str",
        "parents": "list",
        "own": "bool",
        "others": "list",
    },
    ocsf_class=5019,
    lane=Lane.BULK,
)

_DOORS = {
    "sshd": "sshd session",
    "sshd-session": "sshd session",
    "login": "console session",
    "su": "su session",
    "sudo": "sudo session",
    "machinectl": "machinectl session",
}
"""What a session is called by the program that opened it; the outermost one counts."""


def event(committers: Sequence[Committer]) -> Event:
    """Return the one event of a burst; the first committer that is not this agent's own stands for it, the others are named."""
    who = next((one for one in committers if not one.own), committers[0])
    others = [f"{one.command or one.process} (pid {one.pid})" for one in committers if one is not who]
    return RULESET_COMMITTED.event(
        who.process,
        by=words(who),
        process=who.command or who.process,
        pid=who.pid,
        user=who.user or None,
        login=who.login or None,
        unit=who.unit or None,
        container=who.container or None,
        parents=list(who.parents) or None,
        own=who.own,
        others=others or None,
    )


def words(who: Committer) -> str:
    """Return one line: `nft (pid 1234), run by root from sshd session of alice`."""
    text = f"{who.command or who.process} (pid {who.pid})"
    if who.own:
        return f"{text} of this agent"
    if who.user:
        text += f", run by {who.user}"
    door = next((_DOORS[name] for name in reversed(who.parents) if name in _DOORS), "")
    if who.login:
        text += f" from {door or 'login'} of {who.login}"
    elif who.unit.endswith(".service"):
        text += f" from {who.unit}"
    elif door:
        text += f" from {door}"
    return f"{text} in container {who.container}" if who.container else text
