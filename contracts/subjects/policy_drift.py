"""The subject `policy_drift`: what the declared policy of the firewall and reality disagree about, one row each; none while it is kept."""

from contracts.record import Record

SUBJECT = "policy_drift"
OPEN, CLOSED, UNDECIDED = "open", "closed", "undecided"


class Difference(Record, omit_defaults=True):
    """One disagreement: what one vantage reaches over one protocol and family, and by what.

    `change` is open (reachable, not declared), closed (declared, not reachable), undecided (reality cannot be told). `ports` in order;
    `others` when every port that nothing names is meant too. `why` is what decides in reality, `chain` its place; `unknown` what could
    not be decided. `services` are the declared ones.
    """

    vantage: str
    family: int
    protocol: str
    change: str
    address: str
    ports: tuple[int, ...] = ()
    others: bool = False
    why: str = ""
    chain: str = ""
    services: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class Drift(Record, omit_defaults=True):
    """One disagreement and since when it holds (Unix ms)."""

    difference: Difference
    since_ms: int = 0
