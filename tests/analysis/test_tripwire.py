"""What is over its limit, and which file is not readable any more; pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.file_formats import Sample
from analysis.tripwire import Before, Figures, Limits, Look, findings, turned, unreadable

RANDOM = Sample(slices=8, opaque=8, head_opaque=True)
PLAIN = Sample(slices=8)
TEXT = Before(size=9000, ratio=0.35)
DENSE = Before(size=9000, ratio=1.0)


def look(
    sample: Sample, before: Before | None = TEXT, ratio: float = 1.0, path: str = "/x/a.txt", **more: object
) -> Look:
    return Look(path=path, size=9000, sample=sample, before=before, ratio=ratio, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "word"),
    [
        (look(RANDOM), "random bytes"),
        (look(Sample(slices=8, opaque=3), ratio=0.6), "0.35"),
        (look(Sample(slices=8, opaque=8, head_opaque=True), DENSE, path="/x/a.jpg"), "no jpeg"),
        (look(Sample(format="jpeg", slices=8, opaque=8, broken=True), DENSE, path="/x/a.jpg"), "begins as jpeg"),
        (look(Sample(format="gzip", slices=8, opaque=8, head_opaque=True)), "is gzip now"),
        (look(RANDOM, None, stranger=True), "another file's place"),
        (look(RANDOM, DENSE, path="/x/a.jpg.zzz", renamed=True, was="a.jpg"), "no jpeg"),
    ],
)
def test_a_file_that_turned_is_told_and_why(one: Look, word: str) -> None:
    assert word in turned(one)


@pytest.mark.parametrize(
    "one",
    [
        look(PLAIN, ratio=0.36),
        look(
            Sample(format="gzip", slices=8, opaque=8, head_opaque=True), path="/x/a.txt.gz", renamed=True, was="a.txt"
        ),
        look(Sample(format="jpeg", slices=8, opaque=8), DENSE, path="/x/a.jpg"),
        look(RANDOM, DENSE, path="/x/vault.bin"),
        look(RANDOM, Before(size=9000, ratio=0.0005), ratio=0.9, path="/x/film.part"),
        look(Sample(slices=8, opaque=3, blank=4), ratio=0.6),
        look(RANDOM, None),
        look(Sample(), TEXT),
    ],
)
def test_what_was_random_before_or_is_a_known_format_did_not_turn(one: Look) -> None:
    assert turned(one) == ""


def test_unreadable_is_random_and_of_no_format_or_sealed() -> None:
    assert unreadable(look(RANDOM))
    assert unreadable(look(Sample(format="zip", sealed=True)))
    assert not unreadable(look(Sample(format="png", slices=8, opaque=8)))
    assert not unreadable(look(PLAIN))


def names(figures: Figures, past: tuple[Figures, ...] = (), added_up: int = 0) -> list[str]:
    return [found.name for found in findings(figures, past, added_up, Limits())]


def test_each_measure_has_its_limit() -> None:
    quiet = Figures(files_before=1000, files=1000, bytes_before=10**6, bytes_total=10**6)
    assert names(quiet) == []
    assert names(Figures(files_before=1000, turned=1), added_up=10) == ["turned"]
    assert names(quiet, added_up=10) == [], "what turned before was stated then"
    assert names(Figures(files_before=1000, lost=500)) == ["lost"]
    assert names(Figures(files_before=1000, lost=499)) == []
    assert names(Figures(files_before=1000, lost=500, same_choices=False)) == []
    assert names(Figures(files_before=1000, lost=200, bytes_lost=1000, sealed_bytes=900)) == ["sealed"]
    assert names(Figures(files_before=1000, lost=200, bytes_lost=1000, sealed_bytes=900, lost_random=0.9)) == []
    assert names(Figures(files_before=1000, changed=900)) == ["changed"]
    assert names(Figures(files_before=1000, changed=450, opaque_changed=300)) == ["changed"]
    assert names(Figures(files_before=1000, changed=450, opaque_changed=100)) == []
    assert names(Figures(files_before=1000, renamed=50, extensions=(".zzz",))) == ["renamed"]
    past = (quiet,) * 3
    assert names(Figures(files_before=1000, bytes_total=400_000), past) == ["size"]
    assert names(Figures(files_before=1000, bytes_total=11 * 10**6), past) == ["size"]


def test_what_a_job_does_every_day_is_not_suspicious() -> None:
    spool = Figures(files_before=1000, lost=800, bytes_total=10**6)
    quiet = Figures(files_before=1000, bytes_total=10**6)
    assert names(spool, (spool, quiet, quiet)) == []
    assert names(spool, (spool, spool)) == ["lost"], "two runs are no habit"


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_a_few_files_make_no_share(before: int, lost: int, changed: int) -> None:
    figures = Figures(files_before=before, lost=min(lost, before) // 2, changed=min(changed, before))
    assert names(figures) == []
