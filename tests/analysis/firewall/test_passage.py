"""Connection tracking at its place, devices, and programs that are only named."""

from analysis.firewall.probe import Verdict
from contracts.subjects.datapath import Row
from tests.analysis.firewall.datapaths import ACCEPT, DROP, ask, base, datapath, link, match, probe, table

NEW = match("ct state", "new", "in")
NOTRACK = {"notrack": None}


def at(priority: int, *rules: list[dict[str, object]], policy: str = "drop") -> Verdict:
    return ask(
        datapath(table("t", {"c": (base("prerouting", priority, policy), rules)})), probe(protocol="udp")
    ).verdict


def test_a_connection_is_new_after_tracking_and_invalid_before() -> None:
    assert at(-150, [NEW, ACCEPT]) is Verdict.REACHABLE
    assert at(-300, [NEW, ACCEPT]) is Verdict.BLOCKED
    assert at(-300, [match("ct state", "invalid", "in"), ACCEPT]) is Verdict.REACHABLE


def test_what_is_taken_out_of_tracking_is_untracked_and_its_answer_is_not_established() -> None:
    chains = {
        "r": (base("prerouting", -300), [[NOTRACK]]),
        "i": (base("input", 0, "drop"), [[match("ct state", "untracked", "in"), ACCEPT]]),
    }
    assert ask(datapath(table("t", chains)), probe()).verdict is Verdict.REACHABLE
    chains["o"] = (base("output", 0, "drop"), [[match("ct state", "established", "in"), ACCEPT]])
    blocked = ask(datapath(table("t", chains)), probe())
    assert blocked.verdict is Verdict.BLOCKED
    assert blocked.causes[0].answer


def test_taking_out_comes_too_late_after_tracking() -> None:
    chains = {"r": (base("prerouting", -100), [[NOTRACK]]), "i": (base("input", 0, "drop"), [[NEW, ACCEPT]])}
    assert ask(datapath(table("t", chains)), probe()).verdict is Verdict.REACHABLE


def test_a_mark_of_the_connection_comes_back_with_the_answer() -> None:
    setting = {"mangle": {"key": {"ct": {"key": "mark"}}, "value": 9}}
    chains = {"i": (base("input"), [[setting]]), "o": (base("output", 0, "drop"), [[match("ct mark", 9), ACCEPT]])}
    assert ask(datapath(table("t", chains)), probe()).verdict is Verdict.REACHABLE


def test_programs_on_the_way_make_uncertain_and_are_named() -> None:
    for key, interface, uncertain in (
        ("program xdp eth0", "eth0", True),
        ("program xdp br0", "eth0", False),
        ("program xdp veth1", "br0", True),
        ('program tc "veth1 egress"', "br0", True),
        ('program tc "eth0 ingress"', "eth0", True),
        ('program tc "eth0 egress"', "eth0", True),
        ('program cgroup "/ ingress"', "eth0", True),
        ('program cgroup "/system.slice/journald.service ingress"', "eth0", False),
        ('program sk_lookup "the lookup of sockets ingress"', "eth0", True),
    ):
        local = {"source": "172.18.0.2", "destination": "172.18.0.1"} if interface == "br0" else {}
        port = link("veth1", 9, master="br0", linkinfo={"info_slave_kind": "bridge"})
        row = {key: Row(what="program", text="somebody's program")}
        answer = ask(datapath(port, row), probe(interface=interface, **local))
        assert (answer.verdict is Verdict.UNCERTAIN) == uncertain, key
        assert ("somebody's program" in answer.unknown) == uncertain


def test_chains_of_a_bridge_are_named_for_what_comes_by_it() -> None:
    frames = table("b", {"c": (base("prerouting"), [[match("tcp dport", 80), DROP]])}, family="bridge")
    port = link("veth1", 9, master="br0", linkinfo={"info_slave_kind": "bridge"})
    made = datapath(frames, port)
    local = {"source": "172.18.0.2", "destination": "172.18.0.1"}
    assert ask(made, probe(interface="br0", **local)).verdict is Verdict.UNCERTAIN
    assert ask(made, probe(interface="veth1", **local)).verdict is Verdict.UNCERTAIN
    assert ask(made, probe()).verdict is Verdict.REACHABLE


LIMITED = {"limit": {"rate": 5, "per": "second"}}


def test_fields_of_a_connection_are_open_where_it_is_perhaps_not_tracked() -> None:
    raw = (base("prerouting", -300), [[LIMITED, NOTRACK]])
    for rule in (match("ct direction", 0), match("ct mark", 0), match("ct state", "new", "in")):
        answer = ask(datapath(table("t", {"r": raw, "i": (base("input"), [[rule, DROP]])})), probe())
        assert answer.verdict is Verdict.UNCERTAIN, rule
        assert "limit rate 5/second in inet t: rule 2" in answer.unknown
        assert len(answer.unknown) == 2


def test_a_drop_at_one_of_several_ports_of_a_bridge_is_named() -> None:
    ports = link("veth1", 9, master="br0", linkinfo={"info_slave_kind": "bridge"}) | link(
        "veth2", 10, master="br0", linkinfo={"info_slave_kind": "bridge"}
    )
    dropping = table(
        "d", {"c": ({**base("ingress"), "dev": "veth1"}, [[match("tcp dport", 80), DROP]])}, family="netdev"
    )
    made = datapath(ports, dropping)
    local = {"source": "172.18.0.2", "destination": "172.18.0.1"}
    answer = ask(made, probe(interface="br0", **local))
    assert (answer.verdict, answer.unknown) == (
        Verdict.UNCERTAIN,
        ("whether it passes an interface of chain c (ingress)",),
    )
    assert ask(made, probe(81, interface="br0", **local)).verdict is Verdict.REACHABLE
    assert ask(made, probe(interface="veth1", **local)).verdict is Verdict.BLOCKED
    assert ask(made, probe(interface="veth2", **local)).verdict is Verdict.REACHABLE
