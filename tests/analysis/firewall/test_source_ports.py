"""Source ports that rules name: from which anybody calls, and from which it is tried besides."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.firewall.model import Datapath
from analysis.firewall.reading import read
from analysis.firewall.source_ports import named_source_ports, special, usual
from contracts.subjects.datapath import Row
from tests.analysis.firewall.datapaths import ACCEPT, base, field, match, table

PORT = st.integers(0, 65535)
SPANS = st.lists(st.tuples(PORT, PORT).map(lambda pair: (min(pair), max(pair))), max_size=6).map(tuple)


def made(*rules: list[object], sets: tuple[object, ...] = ()) -> Datapath:
    rows: dict[str, Row] = table("t", {"c": (base("input"), list(rules))}, sets=list(sets))  # type: ignore[arg-type]
    return read(rows)


def test_ports_are_found_alone_in_sets_in_maps_and_side_by_side_with_others() -> None:
    key = {"concat": [field("ip saddr"), field("udp sport")]}
    found = made(
        [match("tcp sport", 20), ACCEPT],
        [match("udp sport", {"range": [1024, 65535]}), ACCEPT],
        [match("tcp sport", {"set": [53, {"range": [60, 70]}]}), ACCEPT],
        [match("th sport", "@known"), ACCEPT],
        [match(key, {"set": [{"concat": ["192.0.2.1", 123]}]}), ACCEPT],
        [{"vmap": {"key": field("tcp sport"), "data": {"set": [[22, ACCEPT]]}}}],
        [match("tcp dport", 99), ACCEPT],
        sets=({"name": "known", "type": "inet_service", "elem": [179]},),
    )
    assert named_source_ports(found) == ((20, 20), (1024, 65535), (53, 53), (60, 70), (179, 179), (123, 123), (22, 22))


def test_anybody_calls_from_a_port_of_clients_that_no_rule_names() -> None:
    assert usual(()) == usual(((53, 53), (1024, 65535))) == 40000
    assert not 39000 <= usual(((39000, 41000),)) <= 41000
    assert usual(((32768, 40000), (40001, 60999))) == 40000


def test_one_port_is_tried_of_what_is_named_and_one_beside_what_holds_all_clients() -> None:
    assert special(((53, 53), (1024, 65535), (1, 65535)), 40000) == (53, 1023)
    assert special((), 40000) == ()


@given(SPANS)
def test_every_span_is_told_apart_from_the_usual_port_and_ports_are_ports(spans: tuple[tuple[int, int], ...]) -> None:
    port = usual(spans)
    assert 32768 <= port <= 60999
    tried = special(spans, port)
    assert all(1 <= one <= 65535 for one in tried)
    assert len(tried) == len(set(tried)) <= 8
    for low, high in spans[:3]:
        if not low <= port <= high and high > 0:
            assert any(low <= one <= high for one in tried)
