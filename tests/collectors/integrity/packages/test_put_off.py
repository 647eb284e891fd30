"""Changes that nothing accounts for while a run is under way wait to be judged again, within bounds."""

from pathlib import Path

import pytest

from collectors.integrity.packages import put_off as tested
from collectors.integrity.packages.put_off import MOST_MS, PutOff, left
from collectors.integrity.packages.store import PackageStore
from contracts.file_change import MODIFIED, Change
from contracts.provenance import Level, Provenance

ONE, OTHER = (Change(path=path, kinds=(MODIFIED,), old=b"a", new=b"b") for path in (b"/usr/1", b"/usr/2\n\xff"))
BAD = Provenance(basis="it ships something else", contradicts=True)


@pytest.fixture
def late(tmp_path: Path) -> PutOff:
    return PutOff(PackageStore(tmp_path / "packages.db"))


def test_what_is_not_accounted_for_waits_with_its_text_and_what_is_does_not(late: PutOff) -> None:
    signed = Provenance(level=Level.SIGNED)
    ((_, first), (_, second)) = late.put_off([(OTHER, BAD), (ONE, signed)])
    assert not first.contradicts and first.basis.startswith("it ships something else; a run of rpm is under way")
    assert second is signed and late.changes() == [OTHER] and late.is_any()
    assert late.blind()[0].detail.startswith("1 changes were told")
    late.clear()
    assert (late.changes(), late.is_any(), late.blind()) == ([], False, ())


def test_more_than_may_wait_is_judged_at_once(late: PutOff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tested, "MOST", 2)
    told = late.put_off([(ONE, BAD), (OTHER, BAD), (ONE, BAD)])
    assert [one.contradicts for _, one in told] == [False, False, True]
    assert [one.contradicts for _, one in late.put_off([(ONE, BAD)])] == [True]


def test_a_run_is_believed_for_hours_and_no_longer_and_the_next_one_again(late: PutOff) -> None:
    assert not late.is_under_way(False, 1000)
    assert late.is_under_way(True, 2000) and late.is_under_way(True, 1999 + MOST_MS)
    assert not late.is_under_way(True, 2000 + MOST_MS)
    assert not late.is_under_way(False, 2001 + MOST_MS) and late.is_under_way(True, 2002 + MOST_MS)


def test_what_was_told_before_is_told_again_only_if_it_contradicts_or_changed_since() -> None:
    plain = Provenance(basis="nothing")
    assert left([(ONE, plain), (OTHER, BAD)], [ONE, OTHER], []) == [(OTHER, BAD)]
    assert left([(ONE, plain)], [ONE], [ONE]) == [(ONE, plain)]
