"""One statement a run, in words, and what stands out stays apart."""

import msgspec
import pytest

from analysis.integrity.folding import LATE_MS, Part, fold, shortened, summary
from contracts.provenance import Level, PackageChange, Provenance, Transaction
from tests.analysis.integrity.known import RUN, change, node

CHANGE = change(b"/usr/bin/x", node(b"x"))


def _judged(level: Level, **fields):
    return CHANGE, Provenance(level=level, transaction="apt-1", **fields)


def test_what_a_run_accounts_for_is_folded_and_what_contradicts_is_not() -> None:
    folds, rest = fold(
        [_judged(Level.SIGNED), _judged(Level.PRODUCT), _judged(Level.NONE), _judged(Level.SIGNED, contradicts=True)],
        [RUN],
    )
    (one,) = folds
    assert (one.files, one.levels, one.proved) == (2, {"signed": 1, "product": 1}, True)
    assert len(rest) == 2 and [path for path, _ in one.unproved] == [b"/usr/bin/x"]


def test_lists_and_records_leave_a_run_unproved() -> None:
    assert not fold([_judged(Level.LISTED)], [RUN])[0][0].proved


def test_a_run_that_is_not_known_folds_nothing() -> None:
    assert fold([_judged(Level.SIGNED)], []) == ([], [_judged(Level.SIGNED)])


def test_what_pip_recorded_is_a_run_of_its_own() -> None:
    told = Provenance(level=Level.RECORDED, package="tool", version="1.2")
    ((one,), rest) = fold([(CHANGE, told), (CHANGE, told)], [])
    assert (one.transaction.tool, one.files, summary(one.transaction), rest) == ("pip", 2, "tool 1.2 installed", [])


def test_a_signed_file_without_a_run_stands_for_itself() -> None:
    assert len(fold([(CHANGE, Provenance(level=Level.SIGNED))], [RUN])[1]) == 1


def _run(*packages: PackageChange) -> Transaction:
    return Transaction(id="1", tool="apt", started_ms=1, packages=packages)


def test_a_run_is_told_in_words() -> None:
    upgrade = PackageChange(name="openssh-server", deed="upgrade", before="1:9.2p1-2", after="1:9.2p1-3")
    purge = PackageChange(name="x", deed="purge", before="1")
    again = PackageChange(name="y", deed="reinstall", before="1", after="1")
    new = PackageChange(name="z", deed="install", after="2")
    assert summary(_run(upgrade)) == "openssh-server 1:9.2p1-2 -> -3"
    assert summary(_run(upgrade, purge, again, new), 3).endswith("x 1 purged, y 1 again and 1 more")
    older = PackageChange(name="x", deed="downgrade", before="2-1", after="1-1")
    assert summary(_run(older)) == "x 2-1 -> 1-1 (downgraded)"
    assert [fold([], [_run(each)])[0][0].downgrades for each in (older, upgrade)] == [True, False]
    assert summary(_run(new)) == "z 2 installed" and summary(_run()) == "apt without packages"


@pytest.mark.parametrize(
    ("before", "after", "said"), [("1-1", "1-2", "-2"), ("1-1", "2-1", "2-1"), ("1", "2", "2"), ("1", "1-1", "1-1")]
)
def test_a_version_is_shortened_only_where_the_rest_is_equal(before: str, after: str, said: str) -> None:
    assert shortened(before, after) == said


def test_a_run_that_was_told_is_there_only_with_what_it_changed_in_its_own_time() -> None:
    told = msgspec.structs.replace(RUN, told=True)
    assert fold([], [told]) == ([], [])
    late = change(b"/usr/bin/x", node(b"x", ctime_ns=(RUN.ended_ms + LATE_MS + 1) * 1_000_000))
    by_it = Provenance(level=Level.SIGNED, transaction="apt-1")
    ((one,), rest) = fold([(CHANGE, by_it), (late, by_it)], [told])
    assert one.files == 1 and rest == [(late, by_it)] and summary(one.transaction).endswith(", found later")


def test_parts_of_a_run_are_added_up() -> None:
    one = Part(levels={"signed": 2, "listed": 1}, unproved=((b"/b", "as listed"),))
    both = one.and_also(Part(levels={"signed": 1}, unproved=((b"/a", "as listed"),)))
    assert (both.files, both.levels, [path for path, _ in both.unproved]) == (
        4,
        {"signed": 3, "listed": 1},
        [b"/a", b"/b"],
    )


def test_a_run_that_did_not_come_to_its_end_says_so() -> None:
    assert summary(msgspec.structs.replace(RUN, unfinished="its log has no end")).endswith(
        " (unfinished: its log has no end)"
    )
    assert "tool 1 configured" in summary(
        msgspec.structs.replace(RUN, packages=(PackageChange(name="tool", deed="configure", after="1"),))
    )
