"""Whom this host talks to is read from files and the kernel's table of connections."""

from pathlib import Path

import pytest

from actions.block.needs import mirrors, peers, resolvers
from host.fake import FakeHost
from tests.actions.block.test_interlocks import plant
from tests.analysis.test_logins import HEAD, socket_line


def row(peer: str, uid: int, state: str = "01") -> str:
    own = "::" if ":" in peer else "0.0.0.0"
    return socket_line((own, 22), (peer, 443), state, uid)


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    plant(
        tmp_path,
        "/etc/passwd",
        "root:x:0:0::/:/bin/sh\n_apt:x:42:65534::/nonexistent:/bin/false\nholdfast:x:990:990::/:/bin/false\n",
    )
    return FakeHost(tmp_path)


def test_peers_of_the_agent_and_of_the_package_manager_are_found(host: FakeHost, tmp_path: Path) -> None:
    plant(
        tmp_path,
        "/proc/net/tcp",
        HEAD + row("192.0.2.1", 990) + row("192.0.2.2", 42) + row("192.0.2.3", 0) + row("192.0.2.4", 42, "0A"),
    )
    plant(tmp_path, "/proc/net/tcp6", HEAD + row("2001:db8::7", 990) + row("::ffff:192.0.2.5", 42))
    found = dict(peers(host))
    assert set(found) == {"192.0.2.1", "192.0.2.2", "2001:db8::7", "192.0.2.5"}
    assert "console" in found["192.0.2.1"] and "mirror" in found["192.0.2.2"]


def test_lines_that_are_no_connections_are_passed_over(host: FakeHost, tmp_path: Path) -> None:
    plant(tmp_path, "/proc/net/tcp", HEAD + "nonsense\n" + "   0: 1 2 01 x y z 42 0\n")
    assert peers(host) == []


def test_resolvers_of_every_known_file_are_found_once(host: FakeHost, tmp_path: Path) -> None:
    plant(tmp_path, "/etc/resolv.conf", "search x\nnameserver 127.0.0.53\nnameserver nonsense\n")
    plant(tmp_path, "/run/systemd/resolve/resolv.conf", "nameserver 192.0.2.53\nnameserver 127.0.0.53\n")
    assert resolvers(host) == ["127.0.0.53", "192.0.2.53"]


def test_mirrors_by_address_and_by_name_in_hosts_are_found(host: FakeHost, tmp_path: Path) -> None:
    plant(
        tmp_path,
        "/etc/apt/sources.list",
        "deb http://192.0.2.80/debian stable main\ndeb https://user:x@mirror.example/debian x y\n",
    )
    plant(
        tmp_path,
        "/etc/apt/sources.list.d/more.sources",
        "Types: deb\nURIs: http://[2001:db8::80]/x http://elsewhere.example/\n",
    )
    plant(tmp_path, "/etc/apt/sources.list.d/ignored.bak", "deb http://192.0.2.81/ x\n")
    plant(tmp_path, "/etc/yum.repos.d/a.repo", "[a]\nbaseurl=https://192.0.2.82/x\n")
    plant(tmp_path, "/etc/hosts", "192.0.2.83 Mirror.example m # a mirror\nbad line\n")
    assert set(mirrors(host)) == {"192.0.2.80", "2001:db8::80", "192.0.2.82", "192.0.2.83"}


def test_a_host_without_any_of_these_files_needs_nobody(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    assert (resolvers(host), mirrors(host), peers(host)) == ([], [], [])
