"""The table of listening ports."""

import msgspec

from console.store.records import Agent, AgentDetail, Subject
from console.web.ports_view import ports_view
from contracts.subjects.ports import Listener

DETAIL = AgentDetail(agent=Agent(id="a", name="a"))


def view(**rows):
    encoded = {key: row if isinstance(row, bytes) else msgspec.json.encode(row) for key, row in rows.items()}
    return ports_view(DETAIL, Subject(agent="a", subject="ports", revision=3, at_ms=1_795_280_000_000, rows=encoded))


def listener(**fields):
    return Listener(**{"protocol": "tcp", "family": 4, "address": "0.0.0.0", "port": 80, **fields})


def test_ports_are_in_the_order_of_their_numbers():
    shown = view(a=listener(port=443), b=listener(port=22), c=listener(port=22, protocol="udp"))
    assert [row.port for row in shown.rows] == ["22/tcp", "22/udp", "443/tcp"]


def test_what_a_socket_is_bound_to_is_in_words():
    shown = view(
        a=listener(port=1, family=6, address="::", scope="any", v6only=True),
        b=listener(port=2, scope="loopback", sockets=4, interface="lo"),
    )
    assert [(row.address, row.scope) for row in shown.rows] == [
        ("[::]:1", "every address, IPv6 only"),
        ("0.0.0.0:2", "this server only, on lo, 4 sockets"),
    ]


def test_expected_not_expected_and_no_rule_are_three_things():
    shown = view(a=listener(port=1, expected=True), b=listener(port=2, expected=False), c=listener(port=3))
    assert [row.expected.word for row in shown.rows] == ["Expected", "Not expected", "No rule"]


def test_many_processes_and_containers_stay_readable():
    row = view(a=listener(process="nginx", pids=(1, 2, 3, 4, 5), container="docker:0123", unit="docker.service")).rows[
        0
    ]
    assert (row.process, row.place) == ("nginx (1, 2, 3 and 2 more)", "docker:0123")


def test_too_many_ports_are_cut_but_what_matters_is_shown_and_the_cut_is_said():
    rows = {f"k{port}": listener(port=port, scope="loopback", expected=True) for port in range(1, 1201)}
    shown = view(**rows, evil=listener(port=60000, scope="any", expected=False))
    assert len(shown.rows) == 1000
    assert shown.rows[-1].port == "60000/tcp"
    assert "Only 1,000 of 1,201 are shown" in shown.dated


def test_rows_of_another_version_are_said_to_be_not_understood():
    shown = view(a=b'{"new":1}')
    assert (shown.rows, shown.word) == ((), "Not understood")
    mixed = view(a=b'{"new":1}', b=listener())
    assert "1 further rows could not be understood" in mixed.dated


def test_a_port_of_another_network_namespace_says_so():
    shown = view(**{"tcp/0.0.0.0:80": listener(netns=7), "tcp/0.0.0.0:80#9": listener(netns=9)})
    assert sorted("namespace 9" in row.scope for row in shown.rows) == [False, True]
    assert not any("namespace 7" in row.scope for row in shown.rows)
