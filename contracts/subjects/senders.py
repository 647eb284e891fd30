"""The subject `senders`: TCP connections of this server over which much has been sent, and whose they are.

Key: `PROTOCOL ADDRESS:PORT PEER:PORT`, IPv6 addresses in brackets.
"""

from contracts.record import Record

SUBJECT = "senders"


class Sender(Record, omit_defaults=True):
    """One connection. Names in `contracts.text.escape` form; those from `process` on are empty where `owner_known` is false.

    `bytes_sent` is what the peer has acknowledged since the connection began. `owner_known` is false where processes could not be looked
    into; where it is true and `process` is empty no process holds the connection any more.
    """

    address: str
    port: int
    peer: str
    peer_port: int
    bytes_sent: int
    process: str = ""
    executable: str = ""
    executable_deleted: bool = False
    user: str = ""
    unit: str = ""
    container: str = ""
    pids: tuple[int, ...] = ()
    owner_known: bool = True
