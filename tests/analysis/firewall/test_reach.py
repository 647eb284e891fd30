"""Answers put into rows: who takes the packet, for whom it is otherwise, what goes past a front end. The evaluator is played here."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import msgspec
import pytest

from analysis.firewall import reach as module
from analysis.firewall.model import (
    Base,
    Chain,
    Constant,
    Datapath,
    Field,
    Link,
    Match,
    Nat,
    Network,
    Rule,
    Span,
    Table,
    Verdict,
)
from analysis.firewall.probe import Answer, Cause, Probe
from analysis.firewall.probe import Verdict as Says
from analysis.firewall.reach import front_end, reach
from contracts.subjects.datapath import Vantage
from contracts.subjects.ports import Listener

INTERNET = Vantage(name="internet", sources=("0.0.0.0/0",), interface="eth0")
NETWORK = Network(
    links={"eth0": Link(name="eth0", addresses=((int(ip_address("198.51.100.5")), 24, -1, 4, "global"),))}
)
WEB = Listener(protocol="tcp", family=4, address="0.0.0.0", port=80, process="nginx")
ACCEPT = Cause(what="rule", text="tcp dport 80 accept", family="inet", table="filter", chain="input", handle=3)
NAT = Cause(what="rule", text="dnat to 172.17.0.2:80", family="ip", table="nat", chain="DOCKER", handle=9)


class Played:
    """What the evaluator says: `says(probe, translated)`, where translated is whether nat chains are hooked in."""

    def __init__(self, says) -> None:
        self.says = says
        self.probes: list[Probe] = []

    def __call__(self, datapath: Datapath, probes: Sequence[Probe]):
        self.probes += probes
        hooked = any(
            chain.base is not None and chain.base.kind == "nat"
            for table in datapath.tables
            for chain in table.chains.values()
        )
        answers = [self.says(probe, hooked) for probe in probes]

        class Answers:
            def verdicts(self):
                return tuple(answer.verdict for answer in answers)

            def answer(self, number: int, steps: bool = True) -> Answer:
                return answers[number]

        return Answers()


@pytest.fixture
def played(monkeypatch):
    def play(says) -> Played:
        made = Played(says)
        monkeypatch.setattr(module, "evaluate", made)
        return made

    return play


def table(*rules: tuple, name: str = "filter", nat: bool = False, family: str = "ip", chain: str = "input") -> Table:
    base = Base(kind="nat" if nat else "filter", hook="prerouting" if nat else "input", priority=0)
    made = Chain(name=chain, base=base, rules=tuple(Rule(statements, text="") for statements in rules))
    return Table(family=family, name=name, chains={chain: made})


def one(listeners: dict[str, Listener], *tables: Table, port: int = 80):
    rows = reach(Datapath(tables=tables, network=NETWORK), (INTERNET,), listeners).rows
    return rows.get(f"internet tcp 198.51.100.5 {port}")


def yes(probe: Probe, **more) -> Answer:
    return Answer(
        **{"verdict": Says.REACHABLE, "causes": (ACCEPT,), "destination": probe.destination, "port": probe.port, **more}
    )


def test_a_reachable_row_names_the_rule_that_let_in_and_the_listener_that_takes_it(played) -> None:
    played(lambda probe, _: yes(probe, causes=(NAT, ACCEPT, msgspec.structs.replace(ACCEPT, answer=True, text="back"))))
    row = one({"web": WEB})
    assert (row.verdict, row.why, row.chain, row.handle) == ("reachable", "tcp dport 80 accept", "inet filter input", 3)
    assert (row.listener, row.process, row.delivered) == ("web", "nginx", "")


def test_a_redirected_port_leads_to_whoever_listens_where_it_ends(played) -> None:
    played(lambda probe, _: yes(probe, port=8080))
    row = one({"web": WEB, "proxy": msgspec.structs.replace(WEB, port=8080, process="proxy")})
    assert (row.listener, row.process, row.delivered) == ("proxy", "proxy", "198.51.100.5:8080")
    gone = one({"web": WEB})
    assert (gone.verdict, gone.why) == ("blocked", "nothing listens there")


def test_a_socket_of_another_interface_takes_nothing(played) -> None:
    played(lambda probe, _: yes(probe))
    row = one({"web": msgspec.structs.replace(WEB, interface="lan")})
    assert (row.verdict, row.why, row.chain) == ("blocked", "listens on lan alone", "")


def test_a_named_network_is_tried_where_its_rule_could_matter_and_told_where_it_does(played) -> None:
    office = ip_network("203.0.113.0/24")
    span = Span(int(office.network_address), int(office.broadcast_address))
    rule = (Match(Field("ip saddr"), "==", span), Match(Field("tcp dport"), "==", Span(80, 80)), Verdict("accept"))

    def says(probe: Probe, _: bool) -> Answer:
        if ip_address(probe.source) in office:
            return yes(probe)
        return Answer(verdict=Says.BLOCKED, causes=(Cause(what="policy", text="policy drop"),))

    player = played(says)
    ssh = msgspec.structs.replace(WEB, port=22)
    assert one({"web": WEB, "ssh": ssh}, table(rule)).except_for == ("203.0.113.0/24 reachable",)
    assert [probe.port for probe in player.probes if ip_address(probe.source) in office] == [80]
    assert one({"web": WEB, "ssh": ssh}, table(rule), port=22).except_for == ()


def test_what_was_not_tried_is_said(played, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_EXCEPTIONS", 0)
    rule = (Match(Field("ip saddr"), "==", Span(5 << 24, (5 << 24) + 255)), Verdict("accept"))
    played(lambda probe, _: yes(probe))
    assert one({"web": WEB}, table(rule)).except_for == ("further networks that rules name were not tried",)


PUBLISH = (
    Match(Field("tcp dport"), "==", Span(8080, 8080)),
    Nat(kind="dnat", family=4, address=Constant(1), port=Constant(80)),
)


def says_past(probe: Probe, hooked: bool) -> Answer:
    if hooked:
        return yes(probe, forwarded=True, destination="172.17.0.2", port=80, interface="docker0")
    policy = Cause(what="policy", text="policy drop", family="ip", table="filter", chain="INPUT")
    return Answer(verdict=Says.BLOCKED, causes=(policy,))


def test_a_published_port_that_a_front_end_would_have_refused_goes_past_it(played) -> None:
    played(says_past)
    ufw = table(chain="ufw-user-input")
    row = one({}, table(PUBLISH, name="nat", nat=True, chain="pre"), ufw, port=8080)
    assert (row.verdict, row.bypasses, row.delivered) == ("reachable", "ufw", "172.17.0.2:80")
    assert one({}, table(PUBLISH, name="nat", nat=True, chain="pre"), table(), port=8080).bypasses == ""


def test_whoever_listens_beside_a_published_port_names_it_but_does_not_take_it(played) -> None:
    played(says_past)
    proxy = {"proxy": msgspec.structs.replace(WEB, port=8080, process="docker-proxy")}
    row = one(proxy, table(PUBLISH, name="nat", nat=True, chain="pre"), port=8080)
    assert (row.process, row.listener) == ("docker-proxy", "")


def test_a_candidate_that_is_not_translated_and_where_nobody_listens_is_no_row(played) -> None:
    played(lambda probe, _: yes(probe))
    assert one({}, table(PUBLISH, name="nat", nat=True, chain="pre"), port=8080) is None


def test_what_is_uncertain_names_what_is_not_known(played) -> None:
    played(lambda probe, _: yes(probe, verdict=Says.UNCERTAIN, unknown=("limit rate 3/minute",)))
    row = one({"web": WEB})
    assert (row.verdict, row.unknown) == ("uncertain", ("limit rate 3/minute",))


def test_front_ends_are_known_by_the_names_they_give() -> None:
    assert front_end(table(chain="ufw6-user-input")) == "ufw"
    assert front_end(table(name="firewalld", family="inet")) == "firewalld"
    assert front_end(table(chain="IN_public")) == "firewalld"
    assert front_end(table()) == ""


def test_a_rule_that_lists_thousands_of_addresses_does_not_make_rows_of_its_size(played) -> None:
    endless = msgspec.structs.replace(ACCEPT, text="ip saddr { " + "192.0.2.1, " * 5000 + "} accept")
    played(lambda probe, _: yes(probe, causes=(endless,)))
    assert len(one({"web": WEB}).why) == 400
    doubts = tuple(f"doubt {number} " + "x" * 5000 for number in range(9))
    played(lambda probe, _: yes(probe, verdict=Says.UNCERTAIN, unknown=doubts))
    row = one({"web": WEB})
    assert (len(row.unknown), row.unknown[-1]) == (6, "and 4 more")
    assert max(map(len, row.unknown)) == 400
