"""What fail2ban really makes of a jail that banned somebody, with its actions for nftables and iptables, as the kernel sees it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.firewall.probe import Verdict
from tests.analysis.firewall.front_ends.judging import Bench, shots
from tests.analysis.firewall.front_ends.room import Room

JAIL = """
[DEFAULT]
banaction = {action}
banaction_allports = {action}
backend = pyinotify
usedns = no
allowipv6 = auto
[sshd]
enabled = true
port = 22,443
logpath = /var/log/auth.log
maxretry = 3
findtime = 600
bantime = 600
"""
FAILED = "{now} host sshd[{number}]: Failed password for root from {address} port 4711 ssh2\n"
OFFENDERS = ("203.0.113.5", "2001:db8:77::5")
INNOCENT = ("198.51.100.7", "2001:db8:99::7")
EVERY_PORT = "iptables-allports"
ACTIONS = ("nftables-multiport", "nftables-allports", "iptables-multiport", EVERY_PORT, "iptables-ipset-proto6")


@pytest.fixture(params=ACTIONS)
def action(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def fail2ban(action: str, bench: Bench, tmp_path: Path) -> Iterator[Room]:
    """fail2ban, whose jail has banned the `OFFENDERS`."""
    with Room(bench.world, tmp_path) as room:
        room.run("sh", "-c", "rm -f /etc/fail2ban/jail.d/*; : >/var/log/auth.log")
        room.write("/etc/fail2ban/jail.local", JAIL.format(action=action))
        room.start("fail2ban-server", "-xf", "start")
        room.wait_for("pong", "fail2ban-client", "ping")
        for offender in OFFENDERS:
            offend(room, offender)
        settled(room, action)
        yield room


def offend(room: Room, address: str) -> None:
    """Fail to log in from `address` until fail2ban has banned it."""
    for number in range(1, 60):
        now = room.run("date", "+%b %e %H:%M:%S").strip()
        room.run(
            "sh", "-c", "cat >>/var/log/auth.log", stdin=FAILED.format(now=now, number=number, address=address) * 3
        )
        if address in room.run("fail2ban-client", "get", "sshd", "banip"):
            return
        time.sleep(0.25)
    raise AssertionError(f"{address} was not banned: {room.run('cat', '/var/log/fail2ban.log')}")


def settled(room: Room, action: str) -> None:
    """Wait until the bans stand in the kernel."""
    for offender in OFFENDERS:
        room.wait_for(offender, "sh", "-c", rules(action))


def let_go(room: Room, action: str) -> None:
    """Let the offenders go until they stay so: fail2ban may still have lines of theirs to read, and ban them once more."""
    for _ in range(20):
        for offender in OFFENDERS:
            room.run("fail2ban-client", "set", "sshd", "unbanip", offender)
        time.sleep(1)
        if not any(offender in room.run("sh", "-c", rules(action)) for offender in OFFENDERS):
            return
    raise AssertionError(f"fail2ban bans them again and again: {room.run('cat', '/var/log/fail2ban.log')}")


def rules(action: str) -> str:
    """What prints the kernel's rules that the action makes; the sets of another action may still be there."""
    if "ipset" in action:
        return "ipset save"
    return "iptables-save; ip6tables-save" if action.startswith("iptables") else "nft list ruleset"


def test_whom_fail2ban_banned_is_blocked_and_nobody_else(bench: Bench, fail2ban: Room, action: str) -> None:
    sources = OFFENDERS + INNOCENT
    picture = bench.judge(shots(senders=("internet",), sources=sources, ports=(22, 80, 443)))
    picture.assert_only_rate_limits_are_uncertain()
    assert len(picture.decided) == len(picture.judged)
    picture.assert_agreed()
    verdicts = {
        (one.shot.probe.source, one.shot.probe.protocol, one.shot.probe.port): one.answer.verdict
        for one in picture.judged
    }
    for offender in OFFENDERS:
        assert verdicts[offender, "tcp", 22] is Verdict.BLOCKED
        assert verdicts[offender, "tcp", 443] is Verdict.BLOCKED
        assert verdicts[offender, "tcp", 80] is (Verdict.BLOCKED if "allports" in action else Verdict.REACHABLE)
    for other in INNOCENT:
        assert verdicts[other, "tcp", 22] is Verdict.REACHABLE


def test_whom_fail2ban_let_go_is_reachable_again(bench: Bench, fail2ban: Room, action: str) -> None:
    let_go(fail2ban, action)
    picture = bench.judge(shots(senders=("internet",), sources=OFFENDERS, ports=(22,)))
    picture.assert_agreed()
    assert {one.answer.verdict for one in picture.judged} == {Verdict.REACHABLE}
