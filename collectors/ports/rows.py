"""Sockets into rows: one row per place that answers, with a key that stays the same as long as the place does."""

from collections.abc import Mapping
from ipaddress import ip_address

from msgspec.structs import replace

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
        self._kinds: dict[tuple[str, str, str, int, bool | None, tuple[int, ...]], _Kind] = {}

    def rows(self, before: Mapping[str, Listener]) -> dict[str, Listener]:
        """Return the rows by key; sockets that share a place (SO_REUSEPORT) are one row."""
        places: dict[str, Socket] = {}
        twins: dict[str, list[Socket]] = {}
        rows: dict[str, Listener] = {}
        kinds, known = self._kinds, before.get
        for socket in self._found.sockets:
            mark = (socket.protocol, socket.address, socket.interface, socket.netns, socket.v6only, socket.pids)
            kind = kinds.get(mark) or self._kind(socket)
            key = f"{kind.head}{socket.port}{kind.tail}"
            if key in places:
                twins.setdefault(key, [places[key]]).append(socket)
                continue
            places[key] = socket
            rows[key] = self._row(kind, socket, known(key))
        for key, sockets in twins.items():
            rows[key] = self._shared(sockets, before.get(key))
        return rows

    def _shared(self, sockets: list[Socket], former: Listener | None) -> Listener:
        """Return the row of a place that several sockets share: its owner is the one that is known best."""
        best = max(sockets, key=lambda socket: (self._kind(socket).owner.known, bool(self._kind(socket).owner.process)))
        row = self._row(self._kind(best), best, former)
        pids = {pid for socket in sockets for pid in socket.pids}
        return replace(row, sockets=len(sockets), pids=tuple(sorted(pids)))

    def _row(self, kind: "_Kind", socket: Socket, former: Listener | None) -> Listener:
        port = socket.port
        # Only the kernel's own sockets have no process, and those are servers (WireGuard), not clients.
        is_client = kind.may_be_client and self._clients[0] <= port <= self._clients[1]
        expected = self._expected(kind, socket, is_client)
        if former is None:
            return replace(kind.row, port=port, ephemeral=is_client, expected=expected)
        row = replace(
            kind.row,
            port=port,
            ephemeral=is_client,
            expected=expected,
            since_ms=former.since_ms,
            settled=former.settled,
            last_owner=kind.row.last_owner or former.last_owner,
        )
        return former if row == former else row

    def _expected(self, kind: "_Kind", socket: Socket, is_client: bool) -> bool | None:
        if is_client and self._ignore_clients:
            return True
        return self._expectations.allow(socket, kind.owner) if self._expectations else None

    def _kind(self, socket: Socket) -> "_Kind":
        """Return what `socket` has in common with all that differ from it by their port alone: ten thousand rows are a few kinds."""
        mark = (socket.protocol, socket.address, socket.interface, socket.netns, socket.v6only, socket.pids)
        kind = self._kinds.get(mark)
        if kind is None:
            kind = self._kinds[mark] = _Kind(socket, self._owners.of(socket.pids), self._found.home, self._now_ms)
        return kind


class _Kind:
    """Rows that differ by their port alone: the row to copy, and the two ends of its key."""

    def __init__(self, socket: Socket, owner: Owner, home: int, now_ms: int) -> None:
        self.owner = owner
        self.head, self.tail = key_ends(socket, home)
        self.may_be_client = socket.protocol == "udp" and (bool(owner.process) or not owner.known)
        self.row = Listener(
            protocol=socket.protocol,
            family=socket.family,
            address=socket.address,
            port=0,
            interface=socket.interface,
            netns=socket.netns,
            scope=scope_of(socket.address, socket.interface),
            v6only=socket.v6only,
            pids=socket.pids,
            process=owner.process,
            executable=owner.executable,
            executable_deleted=owner.deleted,
            user=owner.user,
            unit=owner.unit,
            package=owner.package,
            container=owner.container,
            owner_known=owner.known,
            writable_place=owner.writable_place,
            last_owner=owner.identity,
            since_ms=now_ms,
        )


def key_of(socket: Socket, home: int) -> str:
    """Return the key of a socket's place: `tcp/0.0.0.0:22`, `udp/[fe80::1]:546@eth0`, `tcp/0.0.0.0:80#4026532281` in another namespace."""
    head, tail = key_ends(socket, home)
    return f"{head}{socket.port}{tail}"


def key_ends(socket: Socket, home: int) -> tuple[str, str]:
    """Return what comes before and after the port in the key."""
    address = socket.address if socket.family == 4 else f"[{socket.address}]"
    interface = f"@{socket.interface}" if socket.interface else ""
    netns = "" if socket.netns == home else f"#{socket.netns}"
    return f"{socket.protocol}/{address}:", f"{interface}{netns}"


def scope_of(address: str, interface: str = "") -> str:
    """Return who can reach an address at all: `any`, `loopback`, `link` or `host` (see `Listener`).

    A socket bound to the loopback device takes nothing from elsewhere, whatever its address.
    """
    if interface == "lo":
        return "loopback"
    found = ip_address(address.partition("%")[0])
    if found.version == 6 and found.ipv4_mapped:
        found = found.ipv4_mapped
    if found.is_unspecified:
        return "any"
    if found.is_loopback:
        return "loopback"
    return "link" if found.is_link_local else "host"
