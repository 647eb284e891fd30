"""Datasets: rules that fill sets of values and ask them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.rules.engine import lookups
from collectors.traffic.rules.engine.lookups import Loaded, Lookups
from collectors.traffic.rules.language.rule import Content, Dataset
from tests.collectors.traffic.rules.engine import scene


def _test(cmd: str, name: str = "seen", kind: str = "string") -> Dataset:
    return Dataset(cmd=cmd, name=name, type=kind)


@given(st.lists(st.tuples(st.sampled_from(["set", "unset"]), st.binary(min_size=1, max_size=2)), max_size=30))
def test_a_set_is_a_set(done: list[tuple[str, bytes]]) -> None:
    have, model = Lookups(), set[bytes]()
    for cmd, value in done:
        assert have.holds(_test(cmd), value) == ((value in model) == (cmd == "unset"))
        (model.add if cmd == "set" else model.discard)(value)
        assert have.holds(_test("isset"), value) == (value in model) != have.holds(_test("isnotset"), value)


def test_sets_of_other_names_are_others() -> None:
    have = Lookups()
    assert have.holds(_test("set"), bytes(16))
    assert not have.holds(_test("isset", name="other"), bytes(16))


def test_what_was_filled_is_taken_over_and_what_was_loaded_is_as_its_file_is() -> None:
    former = Lookups([Loaded(name="file", rated=False, values={b"old": 0})])
    assert former.holds(_test("set"), b"a") and former.holds(_test("set", "file"), b"b")
    have = Lookups([Loaded(name="file", rated=False, values={b"new": 0})])
    have.take_over(former)
    assert have.holds(_test("isset"), b"a") and have.holds(_test("isset", "file"), b"new")
    assert not have.holds(_test("isset", "file"), b"old") and not have.holds(_test("isset", "file"), b"b")


def test_a_set_takes_no_more_than_its_memcap() -> None:
    have = Lookups()
    small = Dataset(cmd="set", name="small", type="string", memcap=130)
    assert [have.holds(small, value) for value in (b"a", b"b", b"c")] == [True, True, False]
    assert have.refused == 1 and have.holds(Dataset(cmd="unset", name="small", type="string"), b"a")
    assert have.holds(small, b"c")


def test_a_value_of_the_wrong_form_is_in_no_set() -> None:
    have = Lookups()
    assert not have.holds(_test("set", kind="md5"), b"short")
    assert not have.holds(_test("isnotset", kind="md5"), b"short")
    assert have.holds(_test("set", kind="ip"), b"10.0.0.1")
    assert have.holds(_test("isset", kind="ip"), bytes([10, 0, 0, 1]))
    assert not have.holds(_test("set", kind="ip"), b"no address")
    assert not have.holds(Content(b"a"), b"a")


def test_a_full_set_takes_no_more_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "MOST", 2)
    have = Lookups()
    assert [have.holds(_test("set"), value) for value in (b"a", b"b", b"c", b"a")] == [True, True, False, False]
    assert have.refused == 1


def test_a_rule_fills_a_set_and_another_asks_it() -> None:
    talk = scene.Talk()
    for path in ("/one", "/two", "/one"):
        talk.ask(scene.request(path)).answer(scene.response(b"x"))
    found = scene.alerts(
        talk.close().packets, "alert http any any -> any any (http.uri; dataset:set,uris,type string;)"
    )
    assert [one.transaction.number for one in found if one.transaction is not None] == [0, 1]
