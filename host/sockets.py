"""Every listening socket of this machine, with its owners, and what could not be seen of them.

Our own network namespace is asked over netlink; the others, which only an administrator may enter, are read through `/proc/PID/net`.
"""

import hashlib
import socket
from collections.abc import Collection, Mapping
from pathlib import Path

from msgspec.structs import replace

from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.host import Senders, Socket, Sockets
from host import proc_net, senders, sock_diag
from host.namespaces import Namespaces
from host.owners import Owners, all_pids
from host.sock_diag import Bound, NoSuchProtocol

Found = list[tuple[str, int, Bound]]
"""Protocol, namespace, socket."""

_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_RARE = {"udplite": b"\nUDP-Lite ", "sctp": b"\nSCTP ", "dccp": b"\nDCCP "}
"""Asking for one of these makes the kernel load its module, so that is done only where /proc/net/protocols names it already."""
_FEW = 8
"""The kernel is asked for so many ports one by one; for more, telling of all sockets is quicker."""
_EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range"


class LinuxSockets:
    """`contracts.host.SocketTable` for Linux."""

    def listening(self, owners: bool = True, ports: Collection[int] = ()) -> Sockets:
        """Return every listening (tcp, sctp) or bound unconnected (udp) socket of every network namespace that may be seen.

        With `ports`, only those that are bound to one of them; cheap when they are few.
        """
        pids = all_pids()
        spaces = Namespaces(pids)
        found, blind = _home(spaces.home, ports)
        blind += spaces.blind()
        seen = [spaces.home]
        whole = not spaces.hidden
        for number, pid in spaces.foreign.items():
            spot = _foreign(number, pid, found)
            if spot is None:
                seen.append(number)
            else:
                blind += (spot,)
                whole = False
        if ports:
            found = [one for one in found if one[2][2] in ports]
        holders: Mapping[int, tuple[int, ...]] = {}
        known = False
        if owners:
            held = Owners(pids, (bound[6] for _, _, bound in found))
            holders, known = held.by_inode, held.complete
            blind += held.blind()
        return Sockets(
            sockets=_sockets(found, holders),
            blind=blind,
            home=spaces.home,
            namespaces=tuple(seen),
            all_namespaces=whole,
            owners_seen=known,
        )

    def sending(self, at_least: int, most: int) -> Senders:
        """Return the TCP connections of this network namespace that have sent so many bytes, those with the most first."""
        return senders.sending(at_least, most)

    def fingerprint(self, ephemeral_udp: bool = True) -> bytes:
        """Return a digest that changes when a socket starts or stops listening in this network namespace; cheap."""
        low, high = (1, 0) if ephemeral_udp else ephemeral_range()
        digest = hashlib.blake2b(digest_size=16)
        for protocol in ("tcp", "udp", *_loaded()):
            for family in _FAMILIES:
                names = _identities(protocol, family)
                if protocol == "udp" and low <= high:
                    names = [name for name in names if not low <= int.from_bytes(name[:2], "big") <= high]
                digest.update(b"%s %d %d\n" % (protocol.encode(), family, len(names)))
                digest.update(b"".join(sorted(names)))
        return digest.digest()


def ephemeral_range() -> tuple[int, int]:
    """Return the first and last port that the kernel hands out to clients; (1, 0) when that is not known."""
    try:
        low, high = Path(_EPHEMERAL).read_text().split()
        return int(low), int(high)
    except (OSError, ValueError):
        return 1, 0


def _home(number: int, ports: Collection[int]) -> tuple[Found, tuple[Blind, ...]]:
    """Return the sockets of our own namespace, and where `ports` are few no others than those on them."""
    found: Found = []
    spots: dict[str, Blind] = {}
    asked = ports if ports and len(ports) <= _FEW and all(ports) else (0,)
    for protocol in ("tcp", "udp", *_loaded()):
        for family in _FAMILIES:
            for port in asked:
                bounds, spots = _ask(protocol, family, spots, port)
                found += [(protocol, number, bound) for bound in bounds]
    return found, tuple(spots.values())


def _identities(protocol: str, family: int) -> list[bytes]:
    """Return what names each socket, beginning with its port in network order."""
    try:
        return sock_diag.identities(protocol, family)
    except (NoSuchProtocol, Unavailable):
        bounds = _ask(protocol, family, {})[0]
    return [bound[2].to_bytes(2, "big") + repr((bound[1], bound[6])).encode() for bound in bounds]


def _ask(protocol: str, family: int, spots: dict[str, Blind], port: int = 0) -> tuple[list[Bound], dict[str, Blind]]:
    """Ask over netlink, else read /proc/self/net, for one `port` or all (0); raises `Unavailable` when neither works."""
    try:
        return sock_diag.dump(protocol, family, port), spots
    except NoSuchProtocol:
        spot = Blind(
            what=f"the device a {protocol} socket is bound to, and whether it is for IPv6 only",
            why=Why.NOT_PRESENT,
            detail=f"the kernel does not tell of {protocol} sockets over netlink (its module {protocol}_diag is not there)",
            fix=f"load it: modprobe {protocol}_diag",
        )
    except Unavailable as error:
        spot = Blind(
            what="the device a socket is bound to, and whether it is for IPv6 only (netlink is closed)",
            why=error.why,
            detail=error.message,
            fix=error.advice or "allow netlink to this process",
        )
    for protocol_of, name, family_of in proc_net.TABLES:
        if (protocol_of, family_of) == (protocol, family):
            bounds = _read(f"/proc/self/net/{name}", protocol, family)
            return [bound for bound in bounds if port in (0, bound[2])], {spot.what: spot, **spots}
    what = f"{protocol} sockets"
    return [], {what: Blind(what=what, why=spot.why, detail=spot.detail, fix=spot.fix), **spots}


def _read(path: str, protocol: str, family: int) -> list[Bound]:
    try:
        return proc_net.table(path, protocol, family)
    except FileNotFoundError:
        return []  # a kernel without this protocol or without IPv6
    except OSError as error:
        message = f"neither netlink nor {path} tells of the {protocol} sockets ({error.strerror})"
        raise Unavailable(Why.PERMISSION, message, advice="allow AF_NETLINK to this process") from error


def _foreign(number: int, pid: str, found: Found) -> Blind | None:
    """Add the sockets of another namespace to `found`, or say why that cannot be done."""
    rows: Found = []
    for protocol, name, family in proc_net.TABLES:
        try:
            bounds = proc_net.table(f"/proc/{pid}/net/{name}", protocol, family)
        except (FileNotFoundError, ProcessLookupError):
            if name == "tcp":
                return None  # the process has ended, and the namespace with it or not: the next look will say
            continue
        except OSError as error:
            return Blind(
                what=f"the sockets in network namespace {number}",
                why=Why.PERMISSION,
                detail=f"/proc/{pid}/net/{name} may not be read ({error.strerror})",
                fix="run the agent as root, or allow this process to read /proc",
            )
        rows += [(protocol, number, bound) for bound in bounds]
    found += rows
    return None


def _loaded() -> list[str]:
    try:
        names = Path("/proc/self/net/protocols").read_bytes()
    except OSError:
        return []
    return [protocol for protocol, name in _RARE.items() if name in names]


def _sockets(found: Found, holders: Mapping[int, tuple[int, ...]]) -> tuple[Socket, ...]:
    """Return `found` for others to read. Most differ from one made before by port and inode alone, so they are copies of it."""
    made: dict[object, Socket] = {}
    sockets = []
    for protocol, number, (family, address, port, interface, backlog, uid, inode, v6only) in found:
        pids = holders.get(inode, ())
        mark = (protocol, number, family, address, interface, backlog, uid, v6only, pids)
        like = made.get(mark)
        if like is None:
            like = made[mark] = Socket(
                protocol=protocol,
                family=4 if family == socket.AF_INET else 6,
                address=sock_diag.text(family, address),
                port=port,
                interface=_interface(interface) if interface else "",
                v6only=v6only,
                inode=inode,
                netns=number,
                uid=uid,
                backlog=backlog,
                pids=pids,
            )
        sockets.append(replace(like, port=port, inode=inode))
    return tuple(sockets)


def _interface(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:  # the device is gone; the socket is still bound to its number
        return f"if{index}"
