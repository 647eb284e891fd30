"""Sockets into rows: one row per place that answers, with a key that stays the same as long as the place does."""

from collections.abc import Mapping
from ipaddress import ip_address

from collectors.ports.expected import Expectations
from collectors.ports.owners import Owner, Owners
from contracts.host import Socket, Sockets
from contracts.subjects.ports import Listener


class Look:
    """What is needed to make rows of the sockets of one look.

    `clients` is the range of ports that the kernel hands out to clients; UDP
    sockets there are expected if `ignore_clients`.
    """

    def __init__(
        self,
        found: Sockets,
        owners: Owners,
        expectations: Expectations,
        *,
        clients: tuple[int, int],
        ignore_clients: bool,
        now_ms: int,
    ) -> None:
        self._found = found
        self._owners = owners
        self._expectations = expectations
        self._clients = clients
        self._ignore_clients = ignore_clients
        self._now_ms = now_ms
        self._scopes: dict[str, str] = {}

    def rows(self, before: Mapping[str, Listener]) -> dict[str, Listener]:
        """Return the rows by key; sockets that share a place (SO_REUSEPORT) are one row."""
        places: dict[str, Socket] = {}
        twins: dict[str, list[Socket]] = {}
        home = self._found.home
        for socket in self._found.sockets:
            key = key_of(socket, home)
            if places.setdefault(key, socket) is not socket:
                twins.setdefault(key, [places[key]]).append(socket)
        known = before.get
        return {key: self._row(socket, twins.get(key), known(key)) for key, socket in places.items()}

    def _row(self, socket: Socket, twins: list[Socket] | None, former: Listener | None) -> Listener:
        pids = socket.pids if twins is None else tuple(sorted({pid for twin in twins for pid in twin.pids}))
        owner = self._owners.of(socket.pids)
        if twins is not None:
            owner = max((self._owners.of(twin.pids) for twin in twins), key=lambda one: (one.known, bool(one.process)))
        # The only client that waits for answers without a process would be the kernel's own, and that is a server (WireGuard).
        is_client = (
            socket.protocol == "udp"
            and self._clients[0] <= socket.port <= self._clients[1]
            and not (owner.known and not owner.process)
        )
        return Listener(
            protocol=socket.protocol,
            family=socket.family,
            address=socket.address,
            port=socket.port,
            interface=socket.interface,
            netns=socket.netns,
            scope=self._scopes.get(socket.address) or self._scope(socket.address),
            v6only=socket.v6only,
            sockets=1 if twins is None else len(twins),
            pids=pids,
            process=owner.process,
            executable=owner.executable,
            executable_deleted=owner.deleted,
            user=owner.user,
            unit=owner.unit,
            package=owner.package,
            container=owner.container,
            owner_known=owner.known,
            expected=self._expected(socket, owner, is_client),
            ephemeral=is_client,
            writable_place=owner.writable_place,
            last_owner=owner.identity or ("" if former is None else former.last_owner),
            since_ms=self._now_ms if former is None else former.since_ms,
            settled=former is not None and former.settled,
        )

    def _expected(self, socket: Socket, owner: Owner, is_client: bool) -> bool | None:
        if self._ignore_clients and is_client:
            return True
        return self._expectations.allow(socket, owner) if self._expectations else None

    def _scope(self, address: str) -> str:
        self._scopes[address] = scope = scope_of(address)
        return scope


def key_of(socket: Socket, home: int) -> str:
    """Return the key of a socket's place: `tcp/0.0.0.0:22`, `udp/[fe80::1]:546@eth0`, `tcp/0.0.0.0:80#4026532281` in another namespace."""
    address = socket.address if socket.family == 4 else f"[{socket.address}]"
    interface = f"@{socket.interface}" if socket.interface else ""
    netns = "" if socket.netns == home else f"#{socket.netns}"
    return f"{socket.protocol}/{address}:{socket.port}{interface}{netns}"


def scope_of(address: str) -> str:
    """Return who can reach an address at all: `any`, `loopback`, `link` or `host` (see `Listener`)."""
    found = ip_address(address.partition("%")[0])
    if found.version == 6 and found.ipv4_mapped:
        found = found.ipv4_mapped
    if found.is_unspecified:
        return "any"
    if found.is_loopback:
        return "loopback"
    return "link" if found.is_link_local else "host"
