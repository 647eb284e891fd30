"""The subject `exposure`: who can reach which listener, as the judge of that name concluded from `datapath` and `ports`.

One row per listener (or published container port), address of this host and vantage. Key: `VANTAGE PROTOCOL ADDRESS PORT`, with the
address the packet is sent to.
"""

from contracts.record import Record

SUBJECT = "exposure"


class Exposure(Record, omit_defaults=True):
    """Whether `vantage` can reach `protocol` `address` `port`, and by which rule.

    `verdict` is reachable, blocked or uncertain for anybody at the vantage whom no rule names. `except_for` lists networks that rules name
    and for whom it is otherwise (`203.0.113.0/24 reachable`). `why` is the deciding rule or fact in one line, `chain` where it stands
    (`FAMILY TABLE CHAIN`), `handle` its number; `unknown` what could not be decided. `bypasses` names the firewall front end (ufw,
    firewalld) whose input rules would have refused it, when the packet is forwarded past them.
    """

    vantage: str
    family: int
    protocol: str
    address: str
    port: int
    verdict: str
    interface: str = ""
    process: str = ""
    listener: str = ""
    """Key of the row in the subject `ports`; "" for a published port without one."""
    why: str = ""
    chain: str = ""
    handle: int = 0
    unknown: tuple[str, ...] = ()
    except_for: tuple[str, ...] = ()
    delivered: str = ""
    """Where the packet goes after address translation, `ADDRESS:PORT`; "" when it is not translated."""
    bypasses: str = ""
    since_ms: int = 0
