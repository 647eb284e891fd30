"""What the ports collector says of a server as it changes; on a host that is a folder, and on the kernel."""

import shutil
import time
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from collectors.ports.collector import PortsCollector
from collectors.ports.options import Options
from contracts.collector import Report
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.event import Severity
from contracts.host import Socket
from contracts.snapshot import Snapshot, apply
from contracts.subjects.ports import Listener


class Watch:
    """Looks again and again, as the core would."""

    def __init__(self, host: Any, **options: Any) -> None:
        self.host = host
        self.collector = PortsCollector(Options(**options))
        self.before: Snapshot[Listener] = Snapshot(subject="ports")
        self.report: Report[Listener] = Report()

    def look(self) -> list[tuple[str, str]]:
        self.report = self.collector.collect(self.host, self.before)
        rows = apply(self.before.rows, self.report.changes)
        self.before = Snapshot(subject="ports", revision=self.before.revision + 1, rows=rows)
        return [(event.kind.removeprefix("ports."), event.key) for event in self.report.events]

    @property
    def rows(self) -> Any:
        return self.before.rows


def test_the_first_look_reports_state_and_not_change(server: Any) -> None:
    watch = Watch(server)
    assert watch.look() == [("first_look", "first look")]
    assert sorted(watch.rows) == [
        "tcp/0.0.0.0:22",
        "tcp/0.0.0.0:80",
        "tcp/[::]:22",
        "udp/0.0.0.0:51820",
        "udp/0.0.0.0:68@eth0",
    ]
    ssh = watch.rows["tcp/0.0.0.0:22"]
    assert (ssh.process, ssh.user, ssh.unit, ssh.package, ssh.expected) == (
        "sshd",
        "root",
        "ssh.service",
        "openssh-server",
        None,
    )
    assert watch.look() == []
    assert not watch.report.changes


def test_twins_are_one_row_with_a_count_and_all_their_processes(server: Any) -> None:
    watch = Watch(server)
    watch.look()
    row = watch.rows["tcp/0.0.0.0:80"]
    assert (row.sockets, row.pids, row.user) == (2, (200, 201, 202), "root")


def test_what_opens_and_closes_is_told_once(server: Any) -> None:
    watch = Watch(server)
    watch.look()
    server.run(400, name="app", executable="/usr/local/bin/app")
    server.open(port=8080, pids=(400,))
    assert watch.look() == [("listener_opened", "tcp/0.0.0.0:8080")]
    assert watch.report.events[0].severity is Severity.MEDIUM
    assert watch.look() == []
    server.close(8080)
    assert watch.look() == [("listener_closed", "tcp/0.0.0.0:8080")]


def test_a_listener_that_the_kernel_skipped_in_a_long_list_has_not_closed(server: Any) -> None:
    for port in range(8000, 8040):
        server.open(port=port, pids=(100,))
    watch = Watch(server)
    watch.look()
    whole, asked = server.sockets.listening, []

    def skipping(owners: bool = True, ports: Any = ()) -> Any:
        asked.append(set(ports))
        found = whole(owners, ports)
        return found if ports else replace(found, sockets=tuple(one for one in found.sockets if one.port != 8007))

    server.sockets.listening = skipping
    server.close(8011)
    server.close(51820)
    assert sorted(watch.look()) == [("listener_closed", "tcp/0.0.0.0:8011"), ("listener_closed", "udp/0.0.0.0:51820")]
    assert asked == [set(), {8007, 8011}], "the list of UDP sockets is short"
    assert "tcp/0.0.0.0:8007" in watch.rows


def test_a_restart_with_other_process_ids_is_no_drift(server: Any) -> None:
    watch = Watch(server)
    watch.look()
    server.close(22)
    server.run(500, name="sshd", executable="/usr/sbin/sshd", unit="ssh.service", started_ms=9000)
    server.open(port=22, pids=(500,), inode=99)
    server.open(port=22, pids=(500,), inode=98, family=6, address="::", v6only=True)
    assert watch.look() == []
    assert watch.rows["tcp/0.0.0.0:22"].pids == (500,)


def test_another_program_on_the_same_port_is_a_change(server: Any) -> None:
    watch = Watch(server)
    watch.look()
    server.run(100, executable="/usr/local/bin/app", name="sshd")
    assert sorted(watch.look()) == [("listener_changed", "tcp/0.0.0.0:22"), ("listener_changed", "tcp/[::]:22")]
    event = watch.report.events[0]
    assert event.fields["former_owner"] == "root /usr/sbin/sshd"
    assert event.fields["reasons"] == ["executable"]
    assert event.severity is Severity.MEDIUM


def test_losing_and_regaining_sight_of_owners_is_no_change(server: Any) -> None:
    watch = Watch(server)
    watch.look()
    whole = server.sockets.found
    lost = Blind(what="the owners of other users' sockets", why=Why.PERMISSION, detail="d", fix="f")
    server.set(
        sockets=tuple(msgspec.structs.replace(one, pids=()) for one in whole.sockets), owners_seen=False, blind=(lost,)
    )
    assert watch.look() == []
    assert watch.report.blind == (lost,)
    row = watch.rows["tcp/0.0.0.0:22"]
    assert (row.owner_known, row.process, row.last_owner) == (False, "", "root /usr/sbin/sshd")
    server.sockets.found = whole
    assert watch.look() == []


def test_a_change_behind_lost_sight_is_told_when_sight_returns(server: Any) -> None:
    watch = Watch(server)
    watch.look()
    whole = server.sockets.found
    server.set(sockets=tuple(msgspec.structs.replace(one, pids=()) for one in whole.sockets), owners_seen=False)
    watch.look()
    server.sockets.found = whole
    server.run(200, executable="/usr/local/bin/app")
    assert watch.look() == [("listener_changed", "tcp/0.0.0.0:80")]


def test_a_namespace_that_cannot_be_looked_into_has_not_closed_its_ports(server: Any) -> None:
    server.open(port=80, netns=7, pids=(200,))
    server.set(namespaces=(1, 7))
    watch = Watch(server)
    watch.look()
    assert "tcp/0.0.0.0:80#7" in watch.rows
    whole = server.sockets.found
    server.set(sockets=tuple(one for one in whole.sockets if one.netns == 1), namespaces=(1,), all_namespaces=False)
    assert watch.look() == []
    assert "tcp/0.0.0.0:80#7" in watch.rows
    server.set(all_namespaces=True)
    assert watch.look() == [("listener_closed", "tcp/0.0.0.0:80#7")]


def test_a_program_from_a_place_that_anyone_may_write_is_severe(server: Any) -> None:
    watch = Watch(server, expected=["tcp/4444"])
    watch.look()
    server.run(666, name="sshd", executable="/tmp/dropper")
    server.open(port=4444, pids=(666,))
    watch.look()
    event = watch.report.events[0]
    assert event.severity is Severity.HIGH
    assert event.fields["reasons"] == ["anyone may write where its executable lies"]


def test_a_deleted_program_is_severe_and_an_upgraded_one_is_not(server: Any) -> None:
    watch = Watch(server)
    watch.look()
    server.run(200, deleted=True)
    assert watch.look() == [("listener_changed", "tcp/0.0.0.0:80")]
    assert watch.report.events[0].severity is Severity.LOW
    assert watch.report.events[0].fields["reasons"] == ["executable replaced"]
    server.run(100, deleted=True, executable="/usr/sbin/gone")
    watch.look()
    server.run(300, deleted=True, executable="/memfd:x")
    watch.look()
    assert {event.severity for event in watch.report.events} == {Severity.HIGH}


def test_expectations_are_told_in_the_rows(server: Any) -> None:
    watch = Watch(server, expected=["tcp/22=sshd", "udp/68@eth0"])
    watch.look()
    assert {key: row.expected for key, row in watch.rows.items()} == {
        "tcp/0.0.0.0:22": True,
        "tcp/[::]:22": True,
        "tcp/0.0.0.0:80": False,
        "udp/0.0.0.0:68@eth0": True,
        "udp/0.0.0.0:51820": False,
    }


def test_a_clients_udp_socket_is_listed_and_makes_no_noise_until_it_stays(server: Any) -> None:
    watch = Watch(server, ephemeral_udp_grace=60.0)
    watch.look()
    server.run(700, name="resolver", executable="/usr/local/bin/app")
    server.open(protocol="udp", port=40000, pids=(700,))
    assert watch.look() == []
    assert watch.rows["udp/0.0.0.0:40000"].ephemeral
    assert watch.rows["udp/0.0.0.0:40000"].expected
    server.advance(61)
    assert watch.look() == [("ephemeral_udp_opened", "udp/0.0.0.0:40000")]
    assert watch.look() == []
    server.close(40000)
    assert watch.look() == []


def test_a_kernels_udp_socket_is_a_server_whatever_its_port(server: Any) -> None:
    watch = Watch(server)
    watch.look()
    assert not watch.rows["udp/0.0.0.0:51820"].ephemeral
    server.close(51820)
    assert watch.look() == [("listener_closed", "udp/0.0.0.0:51820")]


def test_every_udp_socket_counts_when_asked_to(server: Any) -> None:
    watch = Watch(server, ignore_ephemeral_udp=False)
    watch.look()
    server.run(700, name="resolver", executable="/usr/local/bin/app")
    server.open(protocol="udp", port=40000, pids=(700,))
    assert watch.look() == [("listener_opened", "udp/0.0.0.0:40000")]


def test_very_many_at_once_are_one_event(server: Any) -> None:
    watch = Watch(server, max_events=10)
    watch.look()
    for port in range(2000, 2011):
        server.open(port=port)
    assert watch.look() == [("many_changed", "many")]
    assert watch.report.events[0].fields["opened"] == 11


def test_a_host_without_package_database_is_no_blind_spot_and_a_hidden_one_is(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.packages.by_path = None
    watch = Watch(server)
    watch.look()
    assert watch.report.blind == ()

    def hidden(paths: Any) -> Any:
        raise Unavailable(Why.PERMISSION, "the package database /var/lib/dpkg/info cannot be seen", advice="show it")

    monkeypatch.setattr(server.packages, "owners", hidden)
    watch.look()
    assert [spot.what for spot in watch.report.blind] == ["the packages that own the executables"]


def test_a_kernel_that_tells_nothing_is_unavailable_and_not_empty(server: Any) -> None:
    server.sockets.found = Unavailable(Why.PERMISSION, "no netlink", advice="allow it")
    with pytest.raises(Unavailable):
        Watch(server).look()


COLLECT = """
import json, sys, msgspec
from collectors.ports.collector import PortsCollector
from collectors.ports.options import Options
from contracts.snapshot import Snapshot
from host.linux import LinuxHost
report = PortsCollector(Options()).collect(LinuxHost(), Snapshot(subject="ports"))
rows = {key: row for key, row in report.changes.put.items() if "#" not in key}
sys.stdout.buffer.write(msgspec.json.encode({"rows": rows, "blind": report.blind}))
"""


def test_the_kernels_listeners_become_rows(netns: Any) -> None:
    pid = netns.listen(
        {"address": "0.0.0.0", "port": 80, "reuse": True},
        {"address": "0.0.0.0", "port": 80, "reuse": True},
        {"address": "::", "port": 443, "v6only": 0},
        {"address": "::", "port": 444, "v6only": 1},
        {"address": "127.0.0.1", "port": 5432},
        {"address": "0.0.0.0", "port": 68, "udp": True, "device": "lo"},
    )
    rows = netns.python(COLLECT)["rows"]
    assert sorted(rows) == ["tcp/0.0.0.0:80", "tcp/127.0.0.1:5432", "tcp/[::]:443", "tcp/[::]:444", "udp/0.0.0.0:68@lo"]
    assert rows["tcp/0.0.0.0:80"]["sockets"] == 2
    assert {tuple(row["pids"]) for row in rows.values()} == {(pid,)}
    assert (rows["tcp/[::]:443"]["v6only"], rows["tcp/[::]:444"]["v6only"]) == (False, True)
    assert {row["package"] for row in rows.values()} == {"python3.11-minimal"}
    assert (rows["tcp/127.0.0.1:5432"]["scope"], rows["tcp/0.0.0.0:80"]["scope"]) == ("loopback", "any")


def test_without_capabilities_rows_stay_and_blind_spots_say_what_is_lost(netns: Any) -> None:
    netns.listen({"address": "0.0.0.0", "port": 80})
    answer = netns.python(COLLECT, capabilities=())
    assert answer["rows"]["tcp/0.0.0.0:80"]["owner_known"] is False
    lost = " ".join(spot["detail"] + spot["fix"] for spot in answer["blind"])
    assert "CAP_SYS_PTRACE" in lost and "CAP_DAC_READ_SEARCH" in lost


def test_a_deleted_program_of_the_kernel_is_seen_as_deleted(netns: Any, tmp_path: Any) -> None:
    program = tmp_path / "daemon"
    shutil.copy("/usr/bin/python3.11", program)
    netns.listen({"address": "0.0.0.0", "port": 81}, python=str(program))
    program.unlink()
    row = netns.python(COLLECT)["rows"]["tcp/0.0.0.0:81"]
    assert (row["executable"], row["executable_deleted"]) == (str(program), True)
    assert row["writable_place"]  # below /tmp


def test_ten_thousand_rows_take_little_time(server: Any) -> None:
    server.set(
        sockets=tuple(
            Socket(protocol="tcp", family=4, address="127.0.0.1", port=port, netns=1, inode=port, pids=(100,))
            for port in range(1, 10001)
        )
    )
    watch = Watch(server)
    watch.look()
    began = time.process_time()
    assert watch.look() == []
    assert time.process_time() - began < 1.0
