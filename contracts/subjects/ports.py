"""The subject `ports`: one row per listening socket, as the collector states it and judges and pages read it."""

from contracts.record import Record

SUBJECT = "ports"


class Listener(Record):
    """One address and port that answers, and who is behind it. Names in `contracts.text.escape` form.

    `protocol` is tcp, udp, sctp (dccp, udplite as the kernel names them), `family` 4 or 6, `scope` says who can reach the
    bind address at all: `loopback`, `link` (link-local), `host` (one address of this host), `any` (wildcard). `netns` is the inode
    number of the network namespace. The fields from `process` on are empty where `owner_known` is false.
    """

    protocol: str
    family: int
    address: str
    port: int
    interface: str = ""
    netns: int = 0
    scope: str = ""
    v6only: bool | None = None
    sockets: int = 1
    """How many sockets share this place (SO_REUSEPORT twins)."""
    pids: tuple[int, ...] = ()
    process: str = ""
    executable: str = ""
    executable_deleted: bool = False
    user: str = ""
    unit: str = ""
    package: str = ""
    container: str = ""
    owner_known: bool = True
    expected: bool | None = None
    """Whether `ports.expected` allows it; None when no expectations are configured."""
    ephemeral: bool = False
    """Whether it is a UDP socket on a port that the kernel hands out to clients: most likely a client that waits for answers."""
    writable_place: bool = False
    """Whether anyone may replace the executable, because of the folder it is in (or it never was a file)."""
    last_owner: str = ""
    """The last owner that was known (`USER EXECUTABLE`), kept while the owner cannot be seen, so that nothing changes unseen."""
    since_ms: int = 0
    """When it was first seen, Unix ms."""
    settled: bool = False
    """Of an ephemeral one: whether it has stayed for so long that it was reported, or was there at the first look."""
