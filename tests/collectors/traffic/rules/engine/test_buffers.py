"""Buffers of transactions: what stands in them is found, once it is there, and looked through once."""

from collectors.traffic.protocols.news import Fields, File
from collectors.traffic.rules.engine.buffers import BufferFilters
from collectors.traffic.rules.engine.plan import Compiled, order
from collectors.traffic.rules.engine.prepared import Later
from collectors.traffic.rules.engine.sets import HeaderSets
from tests.collectors.traffic.rules.engine import scene


def _filters(*lines: str) -> tuple[BufferFilters, dict[int, int]]:
    """Return the filters as they come back from being kept, and sids by number."""
    sets = HeaderSets()
    compiled = [Compiled(rule, sets, Later) for rule in scene.rules(*lines)]
    order(compiled)
    return BufferFilters(kept=BufferFilters(compiled).keep()), {one.order: one.rule.sid for one in compiled}


def _found(
    filters: BufferFilters, sids: dict[int, int], transaction: Fields, to_client: bool = False, owner: int = 1
) -> set[int]:
    return {sids[number] for number in filters.find([(owner, transaction, transaction.protocol, to_client)])[0]}


def _http(**values: bytes) -> Fields:
    transaction = Fields(0, "http")
    for name, value in values.items():
        transaction.set("http." + name, False, value)
    return transaction


def test_a_rule_is_found_by_its_pattern_in_its_buffer() -> None:
    filters, sids = _filters(
        'alert http any any -> any any (http.uri; content:"/admin";)',
        'alert http any any -> any any (http.user_agent; content:"probe";)',
        'alert dns any any -> any any (dns.query; content:"/admin";)',
    )
    assert _found(filters, sids, _http(uri=b"/admin", user_agent=b"browser")) == {1}
    assert _found(filters, sids, _http(uri=b"/", user_agent=b"a probe"), owner=2) == {2}


def test_rules_without_a_pattern_are_found_always_on_their_side() -> None:
    filters, sids = _filters(
        "alert http any any -> any any (http.uri; bsize:>100;)", "alert dns any any -> any any (dns.opcode:0;)"
    )
    assert _found(filters, sids, _http()) == {1}
    assert _found(filters, sids, _http(), to_client=True) == set()


def test_what_was_looked_through_is_not_looked_through_again() -> None:
    filters, sids = _filters('alert http any any -> any any (http.uri; content:"/admin";)')
    transaction = _http(uri=b"/admin")
    assert _found(filters, sids, transaction) == _found(filters, sids, transaction) == {1}
    assert filters.scans == 1
    transaction.set("http.uri", False, b"/other")
    _found(filters, sids, transaction)
    assert filters.scans == 2


def test_a_word_that_comes_in_two_parts_of_a_file_is_found() -> None:
    filters, sids = _filters('alert http any any -> any any (file.data; content:"needle";)')
    transaction, file = Fields(0, "http"), File(False)
    transaction.files.append(file)
    file.add(b"." * 5000 + b"need")
    assert _found(filters, sids, transaction) == set()
    file.add(b"le")
    assert _found(filters, sids, transaction) == {1}


def test_a_transaction_of_another_flow_is_another_one() -> None:
    filters, sids = _filters('alert http any any -> any any (http.uri; content:"/admin";)')
    one, other = _http(uri=b"/admin"), _http(uri=b"/")
    found = filters.find([(1, one, "http", False), (2, other, "http", False)])
    assert [{sids[number] for number in those} for those in found] == [{1}, set()]
