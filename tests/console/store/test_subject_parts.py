"""Many subjects and mismatched parts are refused before anything is written."""

from console.store.subject_parts import MAX_SUBJECTS, mismatch
from console.store.subject_state import SubjectState
from contracts.wire import SubjectPart


def test_parts_that_follow_one_another_fit() -> None:
    parts = [SubjectPart(subject="ports", base=base, revision=base + 1) for base in range(3)]
    assert mismatch(parts, {}) is None
    refused = mismatch(parts[1:], {"ports": SubjectState(revision=7)})
    assert refused is not None
    assert (refused.status, refused.permanent) == (409, False)


def test_a_hostile_agent_cannot_send_ever_more_subjects() -> None:
    parts = [SubjectPart(subject=f"s{number}", base=0, revision=1) for number in range(MAX_SUBJECTS + 1)]
    refused = mismatch(parts, {})
    assert refused is not None
    assert refused.status == 400
