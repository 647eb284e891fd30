"""The ruleset that ufw really makes: allowed, denied and rate-limited ports as the kernel sees them."""

from collections.abc import Iterator

import pytest

from analysis.firewall.probe import Verdict
from tests.analysis.firewall.front_ends.judging import Bench, shots
from tests.analysis.firewall.front_ends.room import Room
from tests.analysis.firewall.kernel.topology import World

RULES = (
    ("allow", "80/tcp"),
    ("limit", "22/tcp"),
    ("deny", "443"),
    ("allow", "from", "10.1.0.0/16", "to", "any", "port", "5432", "proto", "tcp"),
    ("allow", "in", "on", "lan0", "to", "any", "port", "3000"),
    ("allow", "8000:8100/tcp"),
    ("allow", "log", "proto", "udp", "to", "any", "port", "53,123"),
    ("reject", "9000/tcp"),
    ("route", "allow", "in", "on", "wan0", "out", "on", "br0", "to", "172.18.0.2", "port", "80", "proto", "tcp"),
)


@pytest.fixture(scope="module")
def ufw(module_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The host with ufw, enabled, and `RULES`."""
    bench = Bench(module_world)
    bench.load()
    with Room(module_world, tmp_path_factory.mktemp("room")) as room:
        room.run("ufw", "--force", "enable")
        for rule in RULES:
            room.run("ufw", *rule)
        room.run("ufw", "reload")  # only then has the chain of rate limits its rules for IPv6, too
        assert "22/tcp                     LIMIT IN" in room.run("ufw", "status", "verbose")
        yield bench


def test_ufw_is_decided_but_for_its_rate_limit_and_the_kernel_agrees(ufw: Bench) -> None:
    picture = ufw.judge(shots())
    picture.assert_only_rate_limits_are_uncertain()
    picture.assert_agreed()
    for family in (4, 6):
        assert picture.of("internet", "tcp", 80, family) is Verdict.REACHABLE
        assert picture.of("internet", "tcp", 22, family) is Verdict.UNCERTAIN
        assert picture.of("internet", "tcp", 443, family) is Verdict.BLOCKED
        assert picture.of("internet", "tcp", 3000, family) is Verdict.BLOCKED
        assert picture.of("internet", "udp", 123, family) is Verdict.REACHABLE
        assert picture.of("lan", "tcp", 3000, family) is Verdict.REACHABLE
        assert picture.of("host", "tcp", 443, family) is Verdict.REACHABLE
    assert picture.of("lan", "tcp", 5432) is Verdict.REACHABLE
    assert picture.of("internet", "tcp", 5432) is Verdict.BLOCKED


def test_what_ufw_forwards_is_decided_and_the_kernel_agrees(ufw: Bench) -> None:
    picture = ufw.judge(shots(senders=("internet", "lan"), destinations=("172.18.0.2", "fd00:18::2")))
    picture.assert_only_rate_limits_are_uncertain()
    picture.assert_agreed()
    assert picture.of("internet", "tcp", 80) is Verdict.REACHABLE
    assert picture.of("lan", "tcp", 80) is Verdict.BLOCKED
    assert picture.of("internet", "tcp", 80, 6) is Verdict.BLOCKED


def test_the_rule_of_ufw_that_decided_is_named(ufw: Bench) -> None:
    picture = ufw.judge(shots(senders=("internet",), ports=(443,)))
    (cause, *_) = next(one for one in picture.judged if one.shot.probe.protocol == "tcp").answer.causes
    assert (cause.what, cause.family, cause.table, cause.chain) == ("rule", "ip", "filter", "ufw-user-input")
    assert cause.text == "tcp dport 443 counter drop"
    assert cause.handle > 0
