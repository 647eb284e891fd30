"""Whom a policy would cut is found by the worker itself, on a host with real routes and rules and recorded logins."""

import pytest

from actions.policy.cuts import cuts
from contracts.errors import Unavailable, Why
from contracts.policy import Policy, Service, Zone
from tests.analysis.test_logins import HEAD, logind, record, socket_line

from .conftest import NetnsHost

PEER, HERE = "203.0.113.50", "203.0.113.1"
LISTENS = socket_line(("0.0.0.0", 22), ("0.0.0.0", 0), "0A")
SESSION = socket_line((HERE, 22), (PEER, 50000), "01")
WEB = Policy(services={"web": Service(ports=("80",))})
SSH = Policy(services={"ssh": Service(ports=("22",), sources=("203.0.113.0/24",))})


@pytest.fixture
def host(host: NetnsHost) -> NetnsHost:
    host.sure("ip", "link", "add", "wan0", "type", "veth", "peer", "name", "far0")
    host.sure("ip", "addr", "add", f"{HERE}/24", "dev", "wan0")
    for device in ("wan0", "far0"):
        host.sure("ip", "link", "set", device, "up")
    host.plant("/run/utmp", record(7, PEER, 1, user="anna"))
    host.plant("/proc/net/tcp", (HEAD + LISTENS + SESSION).encode())
    return host


def test_a_session_that_the_policy_refuses_is_named_with_the_rule(host: NetnsHost) -> None:
    (line,) = cuts(host, WEB)
    assert line.startswith(f"would cut the SSH session of anna from {PEER} to port 22: counter drop")
    assert line.endswith("[inet holdfast policy_input]")
    assert cuts(host, SSH) == ()


def test_where_it_arrives_is_part_of_the_judgement(host: NetnsHost) -> None:
    by = {
        name: Policy(zones={"z": Zone(interfaces=(name,))}, services={"ssh": Service(ports=("22",), sources=("z",))})
        for name in ("wan0", "wan1")
    }
    assert cuts(host, by["wan0"]) == ()
    assert len(cuts(host, by["wan1"])) == 1
    host.sure("ip", "link", "set", "wan0", "down")  # no route leads back any more: where it arrives is not known
    assert len(cuts(host, by["wan0"])) == 1
    assert cuts(host, SSH) == ()


def test_a_rate_that_was_declared_cuts_nobody(host: NetnsHost) -> None:
    assert cuts(host, Policy(services={"ssh": Service(ports=("22",), rate="1/hour", burst=1)})) == ()


def test_who_is_merely_connected_is_not_protected(host: NetnsHost) -> None:
    host.plant("/run/utmp", record(8, PEER, 1))
    assert cuts(host, WEB) == ()


def test_a_session_of_logind_counts_too(host: NetnsHost) -> None:
    host.plant("/run/utmp", b"")
    host.plant("/run/systemd/sessions/3", logind(host=PEER).encode())
    assert "SSH session of eva" in cuts(host, WEB)[0]


def test_without_any_record_that_is_said_and_counts(host: NetnsHost) -> None:
    host.forget("/run/utmp")
    assert cuts(host, SSH) == (
        "may cut SSH sessions that cannot be seen: there are no records of logins (/run/utmp, /run/systemd/sessions), "
        "so sessions of others are not known",
    )


def test_a_record_that_may_not_be_read_is_said_and_counts(host: NetnsHost, monkeypatch: pytest.MonkeyPatch) -> None:
    real = host.read

    def read(path: str, max_bytes: int = 1 << 20) -> bytes:
        if path == "/run/utmp":
            raise Unavailable(Why.PERMISSION, "/run/utmp may not be read")
        return real(path, max_bytes)

    monkeypatch.setattr(host, "read", read)
    assert cuts(host, SSH) == ("may cut SSH sessions that cannot be seen: /run/utmp may not be read",)


def test_who_uses_the_console_on_this_host_is_not_cut(host: NetnsHost) -> None:
    host.plant("/etc/passwd", b"root:x:0:0::/:/bin/sh\nholdfast-console:x:991:991::/:/bin/false\n")
    listens = socket_line(("0.0.0.0", 8444), ("0.0.0.0", 0), "0A", 991)
    agent = socket_line((HERE, 8444), (PEER, 50001), "01", 991)
    host.plant("/proc/net/tcp", (HEAD + listens + agent).encode())
    assert cuts(host, SSH)[0].startswith(f"would cut the console on this host from {PEER}, port 8444: counter drop")
    assert cuts(host, Policy(services={"console": Service(ports=("8444",))})) == ()


def test_what_makes_answers_unknown_to_the_kernel_may_cut_console_and_backup_targets(host: NetnsHost) -> None:
    host.nft("table ip t { chain c { type filter hook prerouting priority raw; ip saddr 192.0.2.9 notrack\n } \n}")
    assert cuts(host, SSH) == (
        "may cut what this host reaches itself (console, backup targets), "
        "whose answers `ip saddr 192.0.2.9 notrack` makes unknown to the kernel",
    )


@pytest.mark.parametrize(
    ("tool", "rule"),
    [
        ("iptables-nft", "meta l4proto udp counter notrack"),
        ("ip6tables-nft", "meta l4proto udp counter notrack"),
        ("iptables-legacy", "-A PREROUTING -p udp -j CT --notrack"),
        ("ip6tables-legacy", "-A PREROUTING -p udp -j CT --notrack"),
    ],
)
def test_iptables_can_do_that_as_well(host: NetnsHost, tool: str, rule: str) -> None:
    host.sure(tool, "-t", "raw", "-A", "PREROUTING", "-p", "udp", "-j", "CT", "--notrack")
    for names in ("ip_tables_names", "ip6_tables_names"):
        host.plant(f"/proc/net/{names}", host.sure("cat", f"/proc/net/{names}").encode())
    (line,) = cuts(host, SSH)
    assert f"`{rule}`" in line


def test_a_ruleset_that_cannot_be_asked_for_is_no_answer(host: NetnsHost) -> None:
    host.broken = True
    with pytest.raises(Unavailable, match="does not tell which packets are not tracked"):
        cuts(host, SSH)
