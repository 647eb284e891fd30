"""Findings of the same thing are counted, not repeated; different ones stay apart."""

from typing import Any

from console.store.records import FindingKind
from contracts.event import Lane

A = "a" * 32


def test_equal_findings_grow_and_different_ones_stay_apart(tried: Any, facts: Any) -> None:
    tried.admit(A, facts=facts())
    for at, lane, seq in ((1, None, 0), (2, None, 0), (3, Lane.BULK, 0), (4, Lane.BULK, 7)):
        tried.do(tried.store.note(A, FindingKind.MALFORMED, f"at {at}", at, lane, seq))
    found = tried.do(tried.store.findings(A))
    assert [(one.lane, one.seq, one.count, one.detail) for one in found] == [
        (Lane.BULK, 7, 1, "at 4"),
        (Lane.BULK, 0, 1, "at 3"),
        (None, 0, 2, "at 1"),
    ]


def test_an_open_finding_of_challenges_names_every_file_once(tried: Any, facts: Any) -> None:
    tried.admit(A, facts=facts())
    for at, path in ((1, "/etc/x"), (2, "/etc/y"), (3, "/etc/x")):
        tried.do(tried.store.note(A, FindingKind.CHALLENGE_FAILED, f"untold: {path}", at))
    (one,) = tried.do(tried.store.findings(A))
    assert (one.count, one.detail) == (3, "untold: /etc/x; untold: /etc/y")
    for at in range(10):
        tried.do(tried.store.note(A, FindingKind.CHALLENGE_FAILED, f"{at}" * 900, 4 + at))
    (one,) = tried.do(tried.store.findings(A))
    assert len(one.detail) == 4000 and one.detail.endswith("…")


def test_a_stranger_leaves_no_finding(tried: Any) -> None:
    tried.do(tried.store.note("f" * 32, FindingKind.MALFORMED, "x", 1))
    assert tried.do(tried.store.findings()) == ()
