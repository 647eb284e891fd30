"""Why packets of a banned source get through is named, also where this test machine's kernel cannot make it happen."""

import threading
from pathlib import Path

import pytest

from actions.block.address import parse
from actions.block.hook import Hook
from actions.block.receipt import Receipt, Watch
from contracts.blocking import TABLE
from contracts.errors import Unavailable, Why
from contracts.netfilter import Element, Flow
from host.fake import FakeHost

SOURCE = "203.0.113.7"
FLOW = Flow(source=SOURCE, destination="192.0.2.2", protocol=6, source_port=40000, port=443, replied=True)


class Patient(threading.Event):
    """Waits for nothing; what happens meanwhile is told by `meanwhile`."""

    def __init__(self, meanwhile=lambda: None) -> None:
        super().__init__()
        self._meanwhile, self.waits = meanwhile, 0

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += 1
        if self.waits == 2:
            self._meanwhile()
        return False


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path)
    made.netfilter.sets = {(TABLE, "banned4"): [Element(network=SOURCE)], (TABLE, "leaked4"): []}
    made.commands.answers = {"nft list flowtables": {"stdout": b"table inet fast {\n\tflowtable f {\n"}}
    made.commands.answers["nft -s -t list ruleset netdev"] = {"stdout": b""}
    return made


def watched(host: FakeHost, found: Hook | None = None, meanwhile=lambda: None) -> Receipt:
    return Watch(host, parse(SOURCE), lambda _: found or Hook()).over(1.0, Patient(meanwhile))


def test_a_ban_that_nothing_speaks_against_holds(host: FakeHost) -> None:
    host.netfilter.tracked = [FLOW]
    receipt = watched(host)
    assert receipt.holds and receipt.read_back and receipt.flows_cut == 1


def test_an_offloaded_flow_that_cannot_be_cut_is_a_flowtable_s(host: FakeHost) -> None:
    from msgspec.structs import replace

    host.netfilter.tracked, host.netfilter.stubborn = [replace(FLOW, offloaded=True)], True
    receipt = watched(host)
    assert not receipt.holds
    expected = "the flow tcp 203.0.113.7:40000 to 192.0.2.2:443 cannot be cut: a flowtable carries it"
    assert receipt.causes == (expected,)


def test_an_offloaded_flow_that_comes_back_is_named(host: FakeHost) -> None:
    from msgspec.structs import replace

    def come_back() -> None:
        host.netfilter.tracked = [replace(FLOW, offloaded=True)]

    receipt = watched(host, meanwhile=come_back)
    assert receipt.causes == ("a flowtable carries the flow tcp 203.0.113.7:40000 to 192.0.2.2:443 past the hooks",)


def test_a_flow_that_begins_anew_got_through(host: FakeHost) -> None:
    def come_back() -> None:
        host.netfilter.tracked = [FLOW]

    assert "begun anew after its flows were cut" in watched(host, meanwhile=come_back).causes[0]


def test_packets_that_leave_again_past_the_hooks_name_what_may_carry_them(host: FakeHost) -> None:
    def leave() -> None:
        host.netfilter.tap.left = 12

    receipt = watched(host, meanwhile=leave)
    assert receipt.leaked == 12
    assert receipt.causes == (
        "12 packets left this host again past the hooks, carried by flowtable f of table inet fast",
    )


def test_packets_that_were_on_their_way_when_the_ban_came_do_not_count(host: FakeHost) -> None:
    host.netfilter.tap.left = 5
    assert watched(host).holds


def test_a_packet_that_was_past_our_first_chain_when_the_ban_came_is_no_leak(host: FakeHost) -> None:
    class Settling(Patient):
        def wait(self, timeout: float | None = None) -> bool:
            if self.waits == 0:
                host.netfilter.sets[TABLE, "leaked4"] = [Element(network=SOURCE, packets=1)]
            return super().wait(timeout)

    receipt = Watch(host, parse(SOURCE), lambda _: Hook()).over(1.0, Settling())
    assert receipt.holds and receipt.leaked == 0


def test_leaks_are_told_apart_from_drops(host: FakeHost) -> None:
    def count() -> None:
        host.netfilter.sets[TABLE, "banned4"] = [Element(network=SOURCE, packets=30)]
        host.netfilter.sets[TABLE, "leaked4"] = [Element(network=SOURCE, packets=10)]

    receipt = watched(host, meanwhile=count)
    assert (receipt.dropped, receipt.leaked) == (20, 10)
    assert receipt.causes == ("an earlier rule or an established flow lets them past our rules",)


def test_rules_of_others_and_missing_parts_are_causes_without_any_packet(host: FakeHost) -> None:
    receipt = watched(host, Hook(missing=("the chain input",), shadows=("`accept` stands before ours",)))
    assert receipt.causes == ("the chain input is missing", "`accept` stands before ours")


def test_a_ban_that_the_kernel_does_not_hold_is_no_ban(host: FakeHost) -> None:
    host.netfilter.sets[TABLE, "banned4"] = []
    receipt = watched(host)
    assert not receipt.read_back and receipt.causes == ("the kernel does not hold the ban any more",)


def test_what_could_not_be_looked_at_is_said(host: FakeHost) -> None:
    def blind(_: object) -> Hook:
        raise Unavailable(Why.TOOL_MISSING, "nft is not installed")

    def no_tap(_: str) -> None:
        raise Unavailable(Why.PERMISSION, "may not")

    host.netfilter.departures = no_tap  # type: ignore[method-assign,assignment]
    receipt = Watch(host, parse(SOURCE), blind).over(1.0, Patient())
    assert receipt.not_checked == (
        "whether our rules are reached (nft is not installed)",
        "what leaves this host again (may not)",
    )


def test_the_leaks_of_a_network_are_those_of_its_addresses(host: FakeHost) -> None:
    host.netfilter.sets[TABLE, "banned4"] = [Element(network="203.0.113.0/24")]

    def count() -> None:
        leaks = [Element(network="203.0.113.8", packets=3), Element(network="198.51.100.1", packets=9)]
        host.netfilter.sets[TABLE, "leaked4"] = leaks

    receipt = Watch(host, parse("203.0.113.0/24"), lambda _: Hook()).over(1.0, Patient(count))
    assert receipt.leaked == 3
