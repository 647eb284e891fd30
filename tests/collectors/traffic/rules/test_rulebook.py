"""The rules are kept up to date, from what was kept where that fits."""

import time

import pytest

from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.options import Options
from collectors.traffic.rules.forge import Broken
from collectors.traffic.rules.rulebook import Fresh, Rulebook
from contracts.collector import Fetched, Piece
from tests.collectors.traffic.told import KEY, Told, rules

ONE = 'alert udp any any -> any any (content:"one"; sid:1;)\n'
TWO = 'alert udp any any -> any any (content:"two"; sid:2;)\n'
COLUMNS = FlowTable(FlowOptions()).columns
OPTIONS = Options(rules_every=1.0)


def until_fresh(book: Rulebook, begin_s: float = 0.0) -> Fresh:
    for number in range(6000):
        fresh = book.poll(begin_s + number / 100, COLUMNS)
        if fresh is not None:
            return fresh
        time.sleep(0.01)
    raise AssertionError("no rules came")


def test_rules_are_fetched_made_exchanged_when_they_change_and_kept() -> None:
    told = Told({"rules": rules(ONE), "cache": KEY})
    book = Rulebook(OPTIONS, told, lambda: 5)
    assert book.state.loading
    first = until_fresh(book)
    assert (first.state.loaded, first.state.cached, first.state.loaded_ms, first.state.loading) == (1, False, 5, False)
    for number in range(5):
        assert book.poll(2000.0 + number, COLUMNS) is None, "unchanged"
    told.materials["rules"] = rules(ONE, TWO, signature="2")
    assert until_fresh(book, 3000.0).state.loaded == 2
    until = time.monotonic() + 60
    while "cache/rules.packed" not in told.kept and time.monotonic() < until:
        time.sleep(0.01)
    key = Piece(role="key", path="key", data=b"k" * 32)
    kept = Piece(role="kept", path="rules.packed", data=told.kept["cache/rules.packed"])
    again = Rulebook(OPTIONS, Told({"cache": Fetched(signature="2", pieces=(key, kept))}), lambda: 6)
    fresh = again.poll(0.0, COLUMNS)
    assert fresh is not None and fresh.state.cached and fresh.state.loaded == 2
    other = Told({"cache": Fetched(signature="3", pieces=(key, kept)), "rules": rules(ONE, signature="3")})
    assert not until_fresh(Rulebook(OPTIONS, other, lambda: 7)).state.cached, "the files are others now"


def test_other_variables_make_the_rules_anew() -> None:
    told = Told({"rules": rules('alert udp $HOME_NET any -> any any (content:"a"; sid:1;)\n'), "cache": KEY})
    book = Rulebook(OPTIONS, told, lambda: 1)
    until_fresh(book)
    book.tune(Options(rules_every=1.0, addresses={"HOME_NET": "192.0.2.0/24"}))
    assert until_fresh(book, 5000.0).state.loaded == 1


def test_rules_that_cannot_be_made_leave_those_in_use_and_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told({"rules": rules(ONE), "cache": KEY})
    book = Rulebook(OPTIONS, told, lambda: 1)
    until_fresh(book)
    monkeypatch.setattr("collectors.traffic.rules.forge.make", lambda *_: 1 / 0)
    told.materials["rules"] = rules(TWO, signature="2")
    with pytest.raises(Broken):
        until_fresh(book, 100.0)
    assert book.state.loaded == 1 and "exit code" in book.state.problem and not book.state.loading
    book.close()


def test_files_that_cannot_be_read_any_more_leave_the_rules_in_use_until_they_can() -> None:
    told = Told({"rules": rules(ONE, TWO), "cache": KEY})
    book = Rulebook(OPTIONS, told, lambda: 1)
    assert until_fresh(book).state.loaded == 2
    gone = Piece(role="rules", path="1.rules", problem="no such file or directory")
    told.materials["rules"] = Fetched(signature="2", pieces=(*(rules(ONE).pieces or ()), gone))
    with pytest.raises(Broken, match=r"1\.rules: no such file"):
        until_fresh(book, 100.0)
    assert book.state.loaded == 2 and "the rules in use stay" in book.state.problem
    told.materials["rules"] = rules(ONE, signature="3")
    fresh = until_fresh(book, 200.0)
    assert fresh.state.loaded == 1 and not fresh.state.problem


def test_a_ruleset_that_became_rubbish_leaves_the_rules_in_use() -> None:
    told = Told({"rules": rules(ONE, TWO), "cache": KEY})
    book = Rulebook(OPTIONS, told, lambda: 1)
    assert until_fresh(book).state.loaded == 2
    (first, second) = rules(ONE, TWO).pieces or ()
    rubbish = Piece(role="rules", path=second.path, data=b"PK\x03\x04\0\0\0")
    told.materials["rules"] = Fetched(signature="2", pieces=(first, rubbish))
    with pytest.raises(Broken, match=r"not a rules file.*the rules in use stay"):
        until_fresh(book, 100.0)
    told.materials["rules"] = rules("<html><body>502 Bad Gateway</body></html>\n", signature="3")
    with pytest.raises(Broken, match=r"not one of 1 rule loads.*the rules in use stay"):
        until_fresh(book, 200.0)
    assert book.state.loaded == 2 and "stay" in book.state.problem and not book.state.loading
    told.materials["rules"] = rules("# nothing any more\n", signature="4")
    fresh = until_fresh(book, 300.0)
    assert fresh.state.loaded == 0 and not fresh.state.problem, "emptied on purpose"


def test_a_core_that_cannot_read_at_all_is_told() -> None:
    trouble = Piece(role="trouble", path="rules", problem="rules: input/output error")
    book = Rulebook(OPTIONS, Told({"rules": Fetched(signature="", pieces=(trouble,)), "cache": KEY}), lambda: 1)
    with pytest.raises(Broken, match="input/output error"):
        until_fresh(book)
