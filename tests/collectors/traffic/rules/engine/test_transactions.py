"""Tests of transactions: numbers, words and events of protocols, and rules about them on traffic."""

import pytest

from collectors.traffic.protocols.news import Fields, File
from collectors.traffic.rules.engine.tests import Unsupported
from collectors.traffic.rules.engine.transactions import is_of_transaction, timed_check, tx_check
from collectors.traffic.rules.language.rule import EventTest, FieldTest, Number, WordTest
from tests.collectors.traffic.rules.engine import scene


def _with(name: str, *values: int) -> Fields:
    found = Fields(0, "dns")
    for value in values:
        found.number_is(name, False, value)
    return found


@pytest.mark.parametrize(
    ("index", "holds"),
    [("", True), ("any", True), ("all", False), ("0", False), ("1", True), ("-1", True), ("2", False)],
)
def test_an_index_says_which_of_several_numbers_counts(index: str, holds: bool) -> None:
    check = tx_check(FieldTest("dns.opcode", Number("=", 5), index))
    assert check(_with("dns.opcode", 4, 5), False, False) == holds
    assert not check(_with("dns.opcode"), False, False)
    assert not check(_with("dns.opcode", 4, 5), True, False), "the other side has none"


def test_an_event_counts_for_the_side_that_caused_it() -> None:
    transaction = Fields(0, "http")
    transaction.event("invalid_request", False)
    check = tx_check(EventTest("app-layer", "http.invalid_request"))
    asked = [(False, False), (True, False), (True, True)]
    assert [check(transaction, *one) for one in asked] == [True, False, True]
    assert not tx_check(EventTest("app-layer", "http.other"))(transaction, False, True)


def test_the_size_of_a_file_counts_once_it_is_whole() -> None:
    transaction, file = Fields(0, "http"), File(True)
    file.add(b"x" * 10)
    transaction.files.append(file)
    check = tx_check(FieldTest("filesize", Number("=", 10)))
    before = check(transaction, True, True)
    file.close()
    assert (before, check(transaction, True, True), check(transaction, False, True)) == (False, True, False)


def test_versions_by_name_and_by_negation() -> None:
    is_12 = tx_check(WordTest("tls.version", ("1.2",)))
    other = tx_check(WordTest("tls.version", ("1.2",), negated=True))
    old, new = _with("tls.version", 0x0303), _with("tls.version", 0x0304)
    assert [is_12(old, False, True), is_12(new, False, True)] == [True, False]
    assert [other(old, False, True), other(new, False, True)] == [False, True]


def test_states_that_were_reached_and_those_that_were_not() -> None:
    check = tx_check(WordTest("ssl_state", ("client_hello", "!server_hello")))
    assert check(_with("ssl_state", 1), False, True)
    assert not check(_with("ssl_state", 1, 2), False, True)
    assert not check(_with("ssl_state", 4), False, True)


def test_what_belongs_to_transactions_is_known_and_the_rest_refused() -> None:
    assert is_of_transaction(FieldTest("dns.opcode", Number("=", 0)))
    assert not is_of_transaction(FieldTest("ttl", Number("=", 0)))
    assert not is_of_transaction(EventTest("decode", "ipv4.trunc_pkt"))
    with pytest.raises(Unsupported):
        tx_check(WordTest("tls_cert_expired"))


TALK = (
    scene.Talk()
    .ask(scene.request("/one?q=1", more="User-Agent: probe/1\r\n"))
    .answer(scene.response(b"alpha"))
    .ask(scene.request("/two"))
    .answer(scene.response(b"beta", "404 Not Found"))
    .close()
    .packets
)


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ('http.uri; content:"/one";', [0]),
        ('http.uri; content:"/";', [0, 1]),
        ('http.uri; content:"/three";', []),
        ('http.uri; content:!"one";', [1]),
        ('http.user_agent; content:"probe"; http.uri; content:"two";', []),
        ('http.method; content:"GET"; http.uri; content:"two"; endswith;', [1]),
        ('http.stat_code; content:"404";', [1]),
        ('file.data; content:"beta"; bsize:4;', [1]),
        ('http.stat_code; content:"200"; file.data; content:"beta";', []),
        ('http.uri; pcre:"/^.one\\?q=\\d$/";', [0]),
    ],
)
def test_a_rule_means_the_transactions_that_hold_all_its_tests(words: str, numbers: list[int]) -> None:
    found = scene.alerts(TALK, f"alert http any any -> any any ({words})")
    assert [one.transaction.number for one in found if one.transaction is not None] == numbers
    assert len(found) == len(numbers)


def test_a_certificate_is_in_force_or_over_at_a_time() -> None:
    tx = Fields(0, "tls")
    expired, valid = (timed_check(WordTest(f"tls_cert_{word}")) for word in ("expired", "valid"))
    assert not expired(tx, True, 250) and not valid(tx, True, 250), "there is none yet"
    tx.number_is("tls_cert_notbefore", True, 200)
    tx.number_is("tls_cert_notafter", True, 300)
    assert [(expired(tx, True, now), valid(tx, True, now)) for now in (100, 250, 400)] == [
        (False, False),
        (False, True),
        (True, False),
    ]
    assert not expired(tx, False, 400), "the client showed none"
