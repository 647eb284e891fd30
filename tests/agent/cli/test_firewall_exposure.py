"""`holdfast firewall exposure` against an agent that answers from a recording; control socket and evaluator are the real ones."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from agent.cli.firewall import firewall
from analysis.exposure import vantages
from analysis.firewall.reach import reach
from analysis.firewall.reading import read
from contracts.control import Reply, Request
from contracts.errors import Unreachable, UsageError
from contracts.subjects.datapath import Row, Vantage
from contracts.subjects.exposure import Exposure
from contracts.subjects.ports import Listener


def document(**value: Any) -> str:
    return msgspec.json.encode(value).decode()


def rule(handle: int, text: str, port: int, source: str = "") -> Row:
    def match(protocol: str, field: str, right: object) -> dict[str, Any]:
        return {"match": {"op": "==", "left": {"payload": {"protocol": protocol, "field": field}}, "right": right}}

    expr = [*([match("ip", "saddr", source)] if source else []), match("tcp", "dport", port), {"accept": None}]
    return Row(
        what="rule",
        document=document(family="inet", table="filter", chain="input", handle=handle, expr=expr),
        text=text,
    )


def link(name: str, *addresses: str) -> Row:
    flags = ["UP", "LOWER_UP"] + (["LOOPBACK"] if name == "lo" else [])
    info = [
        {
            "family": "inet6" if ":" in each else "inet",
            "local": each,
            "prefixlen": 64 if ":" in each else 24,
            "scope": "global",
        }
        for each in addresses
    ]
    sort = "loopback" if name == "lo" else "ether"
    told = document(ifname=name, ifindex=len(name), flags=flags, link_type=sort, addr_info=info)
    return Row(what="link", document=told)


def route(destination: str, device: str, **more: Any) -> Row:
    family = "6" if ":" in destination or more.pop("six", False) else "4"
    return Row(what="route", document=document(dst=destination, dev=device, **more), text=family)


def vantage(name: str, *sources: str, interface: str) -> Row:
    return Row(
        what="vantage", document=msgspec.json.encode(Vantage(name=name, sources=sources, interface=interface)).decode()
    )


WAYS = {
    "table inet filter": Row(what="table", document=document(family="inet", name="filter", handle=1)),
    "chain inet filter input": Row(
        what="chain",
        document=document(
            family="inet", table="filter", name="input", type="filter", hook="input", prio=0, policy="drop"
        ),
        order=(4, 5),
    ),
    "rule inet filter input 4": rule(4, "tcp dport 22 accept", 22),
    "rule inet filter input 5": rule(5, "ip saddr 203.0.113.7 tcp dport 5432 accept", 5432, "203.0.113.7"),
    "link lo": link("lo", "127.0.0.1", "::1"),
    "link eth0": link("eth0", "198.51.100.5", "2001:db8::5"),
    "route 4 default eth0": route("default", "eth0", gateway="198.51.100.1"),
    "route 6 default eth0": route("default", "eth0", six=True, gateway="2001:db8::1"),
    "route 4 198.51.100.0/24 eth0": route("198.51.100.0/24", "eth0"),
    "route 4 local 198.51.100.5 eth0": route("198.51.100.5", "eth0", type="local", table="local"),
    "route 4 local 127.0.0.0/8 lo": route("127.0.0.0/8", "lo", type="local", table="local"),
    "route 6 2001:db8::/64 eth0": route("2001:db8::/64", "eth0"),
    "route 6 local 2001:db8::5 eth0": route("2001:db8::5", "eth0", type="local", table="local"),
    "route 6 local ::1 lo": route("::1", "lo", type="local", table="local"),
    "vantage internet": vantage("internet", "0.0.0.0/0", "::/0", interface="eth0"),
    "vantage loopback": vantage("loopback", "127.0.0.0/8", "::1/128", interface="lo"),
}
LISTENERS = {
    "tcp/0.0.0.0:22": Listener(protocol="tcp", family=4, address="0.0.0.0", port=22, process="sshd"),
    "tcp/0.0.0.0:5432": Listener(protocol="tcp", family=4, address="0.0.0.0", port=5432, process="post\x1b[31mgres"),
}


class Agent:
    """Answers one request per connection; notes what it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[tuple[str, Any]] = []
        self.rows: dict[str, dict[str, Any]] = {
            "datapath": dict(WAYS),
            "ports": dict(LISTENERS),
            "exposure": dict(reach(read(WAYS), vantages(WAYS), LISTENERS).rows),
        }
        self.sights = [{"subject": name, "state": "seen", "last_ok_ms": 1} for name in ("datapath", "ports")]
        self.outcome: dict[str, Any] = {"type": "ok"}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _answer(self, verb: str, arguments: dict[str, Any]) -> Any:
        if verb == "coverage":
            return {"sights": self.sights}
        if verb == "look":
            return {"subject": arguments["subject"], "outcome": self.outcome, "events": 0}
        rows = self.rows[arguments["subject"]]
        return {"revision": int(bool(rows)), "at_ms": 5, "rows": msgspec.to_builtins(rows), "accepted": None}

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                (length,) = struct.unpack(">I", stream.read(4))
                request = msgspec.msgpack.decode(stream.read(length), type=Request)
                arguments = json.loads(request.arguments)
                self.asked.append((request.verb, arguments))
                body = msgspec.msgpack.encode(Reply(body=json.dumps(self._answer(request.verb, arguments)).encode()))
                connection.sendall(struct.pack(">I", len(body)) + body)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake who waits in accept
        self._listener.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    made = Agent(tmp_path / "control.sock")
    yield made
    made.close()


@pytest.fixture
def call(agent: Agent) -> Callable[..., Result]:
    def run(*words: str) -> Result:
        return CliRunner().invoke(firewall, ["exposure", *words, "--socket", str(agent.path)], standalone_mode=False)

    return run


def test_the_table_tells_per_vantage_what_is_reached_and_by_which_rule(call) -> None:
    lines = call().output.splitlines()
    start = lines.index("From internet (eth0)")
    assert lines[start + 1].split()[:4] == ["reachable", "22/tcp", "sshd", "198.51.100.5"]
    assert lines[start + 1].endswith("inet filter input [handle 4]: tcp dport 22 accept")
    assert lines[start + 2].split()[:2] == ["blocked", "5432/tcp"]
    assert lines[start + 3].strip() == "but 203.0.113.7 reachable"
    assert "From loopback (this host itself)" in lines


def test_a_fact_that_decides_is_told_in_full_and_what_is_not_known_too(agent, call) -> None:
    row = agent.rows["exposure"]["internet tcp 198.51.100.5 22"]
    agent.rows["exposure"] = {
        "a": msgspec.structs.replace(row, chain="", why="martian: 127.0.0.1 by eth0", verdict="blocked"),
        "b": msgspec.structs.replace(row, port=23, verdict="uncertain", unknown=("limit rate 3/minute",)),
    }
    lines = call().output.splitlines()
    assert any(line.endswith("martian: 127.0.0.1 by eth0") for line in lines)
    assert any(line.endswith("not known: limit rate 3/minute") for line in lines)


def test_the_picture_says_who_by_which_chain_reaches_what(call) -> None:
    text = call().output
    assert "internet --> inet filter input --> 22/tcp sshd" in text
    assert "internet --| inet filter input --| 5432/tcp post" in text


def test_it_says_how_old_the_data_is_and_what_cannot_be_seen(agent, call) -> None:
    blind = {
        "what": "the elements of ipsets",
        "why": "tool_missing",
        "detail": "ipset is missing",
        "fix": "Install ipset.",
    }
    agent.sights[0].update(state="partial", blind=[blind])
    first, second, third = call().output.splitlines()[:3]
    assert first == "cannot see the elements of ipsets: ipset is missing"
    assert second.strip() == "Install ipset."
    assert third.startswith("Datapath seen ")


def test_a_hostile_name_never_drives_the_terminal(call) -> None:
    assert "\x1b[31m" not in call().output
    assert "\x1b" not in call("--to-port", "5432", "--explain").output


def test_a_probe_is_explained_step_by_step_with_rule_handle_and_listener(call) -> None:
    text = call("--from", "203.0.113.7", "--to-port", "5432", "--explain").output
    assert "Asked:    tcp from 203.0.113.7 to 198.51.100.5 port 5432, arriving by eth0" in text
    assert "Answer:   reachable" in text
    assert "Because:  inet filter input handle 5: ip saddr 203.0.113.7 tcp dport 5432 accept" in text
    assert "(tcp/0.0.0.0:5432)" in text
    assert "[handle 5]" in text[text.index("Way:") :]
    assert "Way:" not in call("--from", "203.0.113.7", "--to-port", "5432").output


def test_without_a_source_a_stranger_of_the_internet_asks_in_both_families(call) -> None:
    text = call("--to-port", "22").output
    assert "Answer:   reachable\nTaken by: sshd (tcp/0.0.0.0:22)" in text
    assert "to 2001:db8::5 port 22" in text
    assert "Answer:   let in by the rules, but nothing listens there" in text, "sshd listens for IPv4 alone"


def test_destination_protocol_and_interface_are_as_asked(call) -> None:
    text = call(
        "--from", "2001:db8:7::1", "--to", "2001:db8::5", "--to-port", "53", "--udp", "--interface", "eth0"
    ).output
    assert "Asked:    udp from 2001:db8:7::1 to 2001:db8::5 port 53, arriving by eth0" in text
    assert "Answer:   blocked" in text


def test_a_source_alone_is_judged_for_every_listener(agent, call) -> None:
    text = call("--from", "203.0.113.7").output
    assert "From 203.0.113.7 (eth0)" in text
    assert text.count("  reachable") == 2
    assert ("subject", {"subject": "exposure"}) not in agent.asked


def test_a_look_comes_first_when_asked_for_and_its_failure_is_said(agent, call) -> None:
    assert "reachable" in call("--look").output
    assert [name for verb, name in agent.asked if verb == "look"] == [{"subject": "datapath"}, {"subject": "ports"}]
    agent.outcome = {"type": "unavailable", "why": "timeout", "detail": "nft did not answer"}
    assert "The look at datapath failed (nft did not answer)" in call("--look").output


def test_as_json_it_holds_the_rows_or_the_probes(call) -> None:
    told = json.loads(call("--json").output)
    assert msgspec.convert(told["rows"]["internet tcp 198.51.100.5 22"], Exposure).verdict == "reachable"
    assert told["seen_ms"]["datapath"] == 1
    (asked,) = json.loads(call("--json", "--to-port", "22", "--to", "198.51.100.5").output)["probes"]
    assert asked["answer"]["verdict"] == "reachable"
    assert asked["answer"]["causes"][0]["handle"] == 4
    assert asked["probe"]["interface"] == "eth0"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--from", "not-one"), "--from: \"not-one\" is not an IP address"),
        (("--to-port", "22", "--to", "10.0.0.0/8"), "--to: \"10.0.0.0/8\" is not an IP address"),
        (("--to-port", "1", "--interface", "wg9"), "there is no interface wg9 that is up"),
        (("--from-port", "53"), "about one port"),
        (("--explain",), "about one port"),
        (("--to", "10.0.0.1"), "about one port"),
        (("--interface", "eth0"), "about one source or one port"),
        (("--from", "::1", "--to", "10.0.0.1", "--to-port", "1"), "different families"),
        (("--from", "203.0.113.7", "--to-port", "1", "--interface", "wg9"), "there is no interface wg9 that is up"),
    ],
)  # fmt: skip
def test_words_that_are_off_say_what_would_do(call, words, message) -> None:
    answer = call(*words)
    assert isinstance(answer.exception, UsageError)
    assert message in str(answer.exception)
    assert answer.exception.advice


def test_before_the_first_look_it_says_so(agent, call) -> None:
    agent.rows["exposure"] = {}
    answer = call()
    assert isinstance(answer.exception, Unreachable)
    assert "not been" in str(answer.exception)


def test_a_source_that_no_route_leads_to_asks_for_the_interface(agent, call) -> None:
    del agent.rows["datapath"]["route 4 default eth0"]
    answer = call("--from", "203.0.113.7", "--to-port", "22")
    assert "no route leads back to 203.0.113.7" in str(answer.exception)
    assert "Answer:" in call("--from", "203.0.113.7", "--to-port", "22", "--interface", "eth0").output


def test_this_host_itself_is_asked_by_its_own_address(call) -> None:
    text = call("--from", "127.0.0.1", "--to-port", "22").output
    assert "sent by this host itself" in text


def test_a_source_port_is_asked_about_as_given_and_otherwise_one_that_no_rule_names(agent, call) -> None:
    expr = [{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "sport"}}, "right": 40000}}]
    named = document(family="inet", table="filter", chain="input", handle=5, expr=[*expr, {"accept": None}])
    agent.rows["datapath"]["rule inet filter input 5"] = Row(what="rule", document=named, text="tcp sport 40000 accept")
    asked = ("--from", "203.0.113.7", "--to-port", "5432")
    assert "Answer:   blocked" in call(*asked).output
    assert "Answer:   reachable" in call(*asked, "--from-port", "40000").output


def test_anybody_is_in_no_set_that_was_not_read_and_one_source_may_be(agent, call) -> None:
    agent.rows["datapath"]["set inet filter bad"] = Row(
        what="set",
        document=document(family="inet", table="filter", name="bad", type="ipv4_addr"),
        unread="more than 20000 elements",
    )
    left = {"payload": {"protocol": "ip", "field": "saddr"}}
    expr = [{"match": {"op": "==", "left": left, "right": "@bad"}}, {"drop": None}]
    refusing = document(family="inet", table="filter", chain="input", handle=4, expr=expr)
    agent.rows["datapath"]["rule inet filter input 4"] = Row(what="rule", document=refusing, text="ip saddr @bad drop")
    agent.rows["datapath"]["rule inet filter input 5"] = rule(5, "tcp dport 22 accept", 22)
    assert "Answer:   reachable" in call("--to-port", "22", "--to", "198.51.100.5").output
    assert "ip saddr @bad drop" in call("--from", "203.0.113.7", "--to-port", "22").output


def test_what_keeps_neighbours_from_finding_an_address_is_told_beside_its_answer(call) -> None:
    assert (
        "But:      neighbours that have to find it first are blocked: policy drop of chain input"
        in call("--to-port", "22", "--to", "2001:db8::5").output
    )
    assert "But:" not in call("--to-port", "22", "--to", "198.51.100.5").output
