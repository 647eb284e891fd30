"""Sets that rules fill are kept and had back."""

import base64
import re

import pytest

from agent.handover import _NAME
from collectors.traffic.rules.checking import compiled
from collectors.traffic.rules.engine.lookups import Loaded, Lookups
from collectors.traffic.rules.kept_sets import KEEP_S, KeptSets, file_name
from collectors.traffic.rules.language.rule import Dataset
from collectors.traffic.rules.language.ruleset import Loader
from collectors.traffic.rules.lists import KEPT_BYTES
from contracts.collector import Fetched, Piece
from tests.collectors.traffic.told import Told

LASTING = Loaded(name="Seen/Names", rated=False, values={}, type="string", kept=True, lasting=True, filled=True)
SET, IS = (Dataset(cmd, "Seen/Names", "string", state="seen.lst") for cmd in ("set", "isset"))


def test_every_set_has_a_name_of_its_own_that_the_core_takes() -> None:
    names = [file_name(name) for name in ("a", "A", "../../etc/passwd", "", "x" * 300, "ä ö", "a-")]
    assert len(set(names)) == len(names) and all(re.fullmatch(_NAME, name) for name in names)
    assert file_name("Seen/Names").startswith("seen-names-")


def test_what_rules_filled_is_handed_over_when_it_changed_and_had_back_at_the_next_start() -> None:
    told = Told()
    kept, sets = KeptSets(told), Lookups([LASTING])
    while not kept.ready(sets, None):
        pass
    assert sets.holds(SET, b"one") and sets.holds(SET, b"two") and not sets.holds(SET, b"two")
    kept.tick(sets, KEEP_S - 1)
    assert not told.kept
    kept.tick(sets, KEEP_S)
    name = file_name("Seen/Names")
    assert told.kept == {f"sets/{name}": b"b25l\ndHdv\n"}
    told.kept.clear()
    kept.tick(sets, 3 * KEEP_S)
    assert not told.kept, "nothing changed"
    told = Told({"sets": Fetched(signature="", pieces=(Piece(role="kept", path=name, data=b"b25l\ndHdv\n"),))})
    again, fresh = KeptSets(told), Lookups([LASTING])
    assert not fresh.holds(IS, b"one")
    while not again.ready(fresh, None):
        pass
    assert fresh.holds(IS, b"one") and not fresh.holds(IS, b"three") and again.problems == []
    again.tick(fresh, 0.0, at_end=True)
    assert not told.kept


def test_a_reload_goes_on_with_the_set_as_it_is_and_asks_nobody() -> None:
    kept, former, fresh = KeptSets(Told()), Lookups([LASTING]), Lookups([LASTING])
    former.holds(SET, b"one")
    assert kept.ready(fresh, former)
    fresh.take_over(former)
    assert fresh.holds(IS, b"one") and [name for name, _ in fresh.changed()] == ["Seen/Names"]


@pytest.mark.parametrize(
    ("piece", "problem"),
    [
        (Piece(role="kept", path=file_name("Seen/Names"), data=b"%%"), "Seen/Names: what was kept of it: line 1"),
        (Piece(role="kept", path=file_name("Seen/Names"), problem="permission denied"), "permission denied"),
        (Piece(role="trouble", path="sets", problem="input/output error"), "datasets: input/output error"),
    ],
)
def test_what_was_kept_and_cannot_be_had_back_is_told(piece: Piece, problem: str) -> None:
    kept, sets = KeptSets(Told({"sets": Fetched(signature="", pieces=(piece,))})), Lookups([LASTING])
    while not kept.ready(sets, None):
        pass
    assert len(kept.problems) == 1 and problem in kept.problems[0]


def test_a_set_that_is_too_large_to_be_kept_is_refused_where_it_is_read() -> None:
    large = base64.b64encode(bytes(KEPT_BYTES))
    with pytest.raises(ValueError, match="larger than 12 MiB"):
        Lookups([LASTING]).restore("Seen/Names", large)
    loader = Loader()
    loader.read(b"alert dns any any -> any any (dns.query; dataset:set,x,type string,load x,save y; sid:1;)\n", "a")
    (refused,) = compiled(loader.ruleset, lambda file, name: large).refused
    assert "a set that is kept has 12 MiB at most" in refused.reason


def test_a_set_that_is_only_saved_begins_empty_and_one_that_is_kept_is_bounded() -> None:
    saved = Loaded(name="s", rated=False, values={}, type="string", kept=True, filled=True)
    sets = Lookups([saved])
    assert KeptSets(Told()).ready(sets, None), "nothing is asked for"
    fill = Dataset("set", "s", "string", state="s.lst")
    assert not sets.holds(fill, bytes(KEPT_BYTES)) and sets.refused == 1
    assert sets.holds(fill, b"x") and sets.changed() == [("s", b"eA==\n")]
    assert sets.holds(Dataset("unset", "s", "string", state="s.lst"), b"x") and sets.changed() == [("s", b"")]
