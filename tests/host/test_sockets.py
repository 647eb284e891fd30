"""Sockets of the real kernel, in namespaces of the tests' own, compared with what `ss` prints of them."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from contracts.host import Sockets

LISTENING = """
import sys, msgspec
from host.sockets import LinuxSockets
sys.stdout.buffer.write(msgspec.json.encode(LinuxSockets().listening()))
"""
DAC_READ_SEARCH, SYS_PTRACE = 2, 19
ALL_KINDS: tuple[dict[str, Any], ...] = (
    {"address": "0.0.0.0", "port": 1001},
    {"address": "127.0.0.1", "port": 1002, "backlog": 3},
    {"address": "::", "port": 1003, "v6only": 1},
    {"address": "::", "port": 1004, "v6only": 0},
    {"address": "::1", "port": 1005},
    {"address": "0.0.0.0", "port": 1006, "reuse": True},
    {"address": "0.0.0.0", "port": 1006, "reuse": True},
    {"address": "0.0.0.0", "port": 1007, "device": "lo"},
    {"address": "0.0.0.0", "port": 1008, "udp": True},
    {"address": "::", "port": 1009, "udp": True, "v6only": 0},
    {"address": "127.0.0.1", "port": 1010, "udp": True, "device": "lo"},
)


def look(netns: Any, capabilities: tuple[int, ...] | None = None) -> Sockets:
    return msgspec.convert(netns.python(LISTENING, capabilities=capabilities), Sockets)


def own(found: Sockets) -> list[Any]:
    return [socket for socket in found.sockets if socket.netns == found.home]


def as_ss_prints(found: Sockets) -> list[tuple[str, str, int, tuple[int, ...]]]:
    lines = []
    for socket in own(found):
        address = socket.address if socket.family == 4 else f"[{socket.address}]"
        if socket.family == 6 and socket.address == "::" and not socket.v6only:
            address = "*"
        device = f"%{socket.interface}" if socket.interface else ""
        lines.append((socket.protocol, address + device, socket.port, socket.pids))
    return sorted(lines)


def ss(netns: Any) -> list[tuple[str, str, int, tuple[int, ...]]]:
    lines = []
    for line in netns.run("ss", "-tulpnH").splitlines():
        fields = line.split()
        address, _, port = fields[4].rpartition(":")
        pids = tuple(sorted({int(pid) for pid in re.findall(r"pid=(\d+)", line)}))
        lines.append((fields[0], address, int(port), pids))
    return sorted(lines)


def test_every_kind_of_socket_is_as_ss_prints_it(netns: Any) -> None:
    netns.listen(*ALL_KINDS)
    found = look(netns)
    assert as_ss_prints(found) == ss(netns)
    assert len(own(found)) == len(ALL_KINDS)


def test_v6only_backlog_and_device_are_told(netns: Any) -> None:
    netns.listen(*ALL_KINDS)
    by_port = {socket.port: socket for socket in own(look(netns))}
    assert (by_port[1003].v6only, by_port[1004].v6only, by_port[1001].v6only) == (True, False, None)
    assert (by_port[1007].interface, by_port[1001].interface) == ("lo", "")
    assert by_port[1002].backlog == 3


def test_sockets_of_another_user_have_their_owner(netns: Any) -> None:
    other = ("setpriv", "--reuid=65532", "--regid=65532", "--clear-groups")
    pid = netns.listen({"address": "127.0.0.1", "port": 2001}, wrapper=other)
    (socket,) = own(look(netns))
    assert (socket.uid, socket.pids) == (65532, (pid,))


def test_a_connected_udp_socket_is_no_listener(netns: Any) -> None:
    code = """
import socket, time
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.connect(("127.0.0.1", 9))
print("ready", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen(netns.inside("python3", "-c", code), stdout=subprocess.PIPE)
    netns.running.append(process)
    assert process.stdout is not None and process.stdout.readline()
    assert own(look(netns)) == []


def test_another_namespace_is_seen_through_a_process_in_it(make_netns: Callable[[], Any]) -> None:
    here, there = make_netns(), make_netns()
    pid = there.listen({"address": "127.0.0.1", "port": 3001}, {"address": "::1", "port": 3002, "udp": True})
    number = os.stat(f"/run/netns/{there.name}").st_ino
    found = look(here)
    seen = [(one.protocol, one.address, one.port, one.pids, one.v6only) for one in found.sockets if one.netns == number]
    assert sorted(seen) == [("tcp", "127.0.0.1", 3001, (pid,), None), ("udp", "::1", 3002, (pid,), None)]
    assert number in found.namespaces and found.home != number


@pytest.mark.parametrize("more", [0, 20], ids=["asked one by one", "picked out of all"])
def test_only_the_ports_asked_for_are_told(make_netns: Callable[[], Any], more: int) -> None:
    here, there = make_netns(), make_netns()
    here.listen(
        {"address": "0.0.0.0", "port": 3003},
        {"address": "::", "port": 3003, "v6only": 1},
        {"address": "127.0.0.1", "port": 3004, "udp": True},
        {"address": "127.0.0.1", "port": 3005},
    )
    there.listen({"address": "127.0.0.1", "port": 3004}, {"address": "127.0.0.1", "port": 3006})
    number = os.stat(f"/run/netns/{there.name}").st_ino
    ports = [3003, 3004, *range(4000, 4000 + more)]
    found = msgspec.convert(here.python(LISTENING.replace("()))", f"(owners=False, ports={ports})))")), Sockets)
    seen = [(one.protocol, one.address, one.port) for one in own(found)]
    assert sorted(seen) == [("tcp", "0.0.0.0", 3003), ("tcp", "::", 3003), ("udp", "127.0.0.1", 3004)]
    assert [one.port for one in found.sockets if one.netns == number] == [3004]


def test_a_namespace_without_a_process_is_a_blind_spot(make_netns: Callable[[], Any]) -> None:
    here, empty = make_netns(), make_netns()
    spots = [spot for spot in look(here).blind if empty.name in spot.what]
    assert len(spots) == 1 and f"ip netns delete {empty.name}" in spots[0].fix


def test_without_capabilities_the_sockets_are_there_and_their_owners_are_named_as_unseen(netns: Any) -> None:
    netns.listen({"address": "127.0.0.1", "port": 4001})
    found = look(netns, ())
    assert [(one.port, one.pids) for one in own(found)] == [(4001, ())]
    assert not found.owners_seen
    spot = next(spot for spot in found.blind if "owners" in spot.what)
    assert spot.why == "permission"
    assert "CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE" in spot.detail + spot.fix


@pytest.mark.parametrize(("kept", "lost"), [(DAC_READ_SEARCH, "CAP_SYS_PTRACE"), (SYS_PTRACE, "CAP_DAC_READ_SEARCH")])
def test_the_one_capability_that_was_taken_is_named(netns: Any, kept: int, lost: str) -> None:
    netns.listen({"address": "127.0.0.1", "port": 4002})
    found = look(netns, (kept,))
    assert not found.owners_seen
    assert {one.pids for one in own(found)} == {()}
    spot = next(spot for spot in found.blind if "owners" in spot.what)
    assert f"without {lost}" in spot.detail and lost in spot.fix
    assert spot.fix.count("CAP_") == 1


def test_a_foreign_namespace_that_may_not_be_looked_into_is_named_with_its_process(
    make_netns: Callable[[], Any],
) -> None:
    here, there = make_netns(), make_netns()
    pid = there.listen({"address": "127.0.0.1", "port": 3003})
    found = look(here, ())
    assert not found.all_namespaces
    assert 3003 not in {one.port for one in found.sockets}
    spot = next(spot for spot in found.blind if "namespaces" in spot.what)
    assert "CAP_SYS_PTRACE" in spot.detail
    assert str(pid) in spot.detail or "more" in spot.detail


FINGERPRINTS = """
import json, socket, sys
from host.sockets import LinuxSockets
table = LinuxSockets()
def pair(): return table.fingerprint().hex(), table.fingerprint(ephemeral_udp=False).hex()
seen = [pair(), pair()]
a = socket.create_server(("127.0.0.1", 5001)); seen.append(pair())
b = socket.create_connection(("127.0.0.1", 5001)); seen.append(pair())
c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); c.bind(("127.0.0.1", 40000)); seen.append(pair())
c.close(); a.close(); seen.append(pair())
print(json.dumps(seen))
"""


def test_the_fingerprint_changes_with_listeners_alone(netns: Any) -> None:
    start, same, opened, connected, client, closed = netns.python(FINGERPRINTS)
    assert start == same
    assert opened[0] != start[0] and opened[1] != start[1]
    assert connected == opened
    assert client[0] != opened[0] and client[1] == opened[1]
    assert closed == start


def test_where_netlink_is_closed_the_sockets_are_read_from_proc(netns: Any) -> None:
    netns.listen(*ALL_KINDS)
    code = """
import errno, sys, msgspec
from contracts.errors import Unavailable, Why
from host import netlink, sockets
def closed(protocol, what): raise Unavailable(Why.PERMISSION, "a netlink socket may not be opened", advice="allow AF_NETLINK")
netlink.open_netlink = closed
table = sockets.LinuxSockets()
table.fingerprint()
sys.stdout.buffer.write(msgspec.json.encode([table.listening(), table.listening(owners=False, ports=[1001, 1008])]))
"""
    found, chosen = msgspec.convert(netns.python(code), tuple[Sockets, Sockets])
    assert sorted(one.port for one in own(found)) == sorted(how["port"] for how in ALL_KINDS)
    assert [one.port for one in own(chosen)] == [1001, 1008]
    assert any("netlink" in spot.what and spot.fix for spot in found.blind)


def test_the_answer_travels_as_json() -> None:
    assert json.loads(msgspec.json.encode(Sockets(sockets=())))["all_namespaces"] is True
