"""The subject `policy`: the declared policy of the firewall as the running agent was configured with it. One row, key `declared`, or none.

The core itself writes it whenever it takes a configuration, so that judges, the command line and the console see what is declared.
"""

from contracts.policy import Policy
from contracts.record import Record

SUBJECT = "policy"
KEY = "declared"


class Declared(Record):
    """A policy and its digest (`contracts.policy.digest`)."""

    policy: Policy
    digest: str
