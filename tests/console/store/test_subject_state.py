"""How parts of a subject follow one another."""

import pytest

from console.store.subject_state import Step, SubjectState, advance
from contracts.wire import SubjectPart

HELD = SubjectState(revision=4)
PAGED = SubjectState(revision=4, coming_base=4, coming=6)


@pytest.mark.parametrize(
    ("state", "base", "revision", "more", "step", "after"),
    [
        (SubjectState(), 0, 3, False, Step.APPLY, SubjectState(revision=3)),
        (HELD, 4, 5, False, Step.APPLY, SubjectState(revision=5)),
        (HELD, 3, 4, False, Step.REPEAT, HELD),
        (HELD, 3, 5, False, Step.MISMATCH, HELD),
        (HELD, 9, 10, False, Step.MISMATCH, HELD),
        (HELD, 0, 4, False, Step.APPLY, HELD),
        (HELD, 4, 6, True, Step.STAGE_ANEW, PAGED),
        (PAGED, 4, 6, True, Step.STAGE, PAGED),
        (PAGED, 4, 6, False, Step.APPLY_STAGED, SubjectState(revision=6)),
        (PAGED, 4, 7, True, Step.STAGE_ANEW, SubjectState(revision=4, coming_base=4, coming=7)),
        (PAGED, 0, 6, False, Step.APPLY, SubjectState(revision=6)),
    ],
)
def test_every_step(state: SubjectState, base: int, revision: int, more: bool, step: Step, after: SubjectState) -> None:
    assert advance(state, SubjectPart(subject="ports", base=base, revision=revision, more=more)) == (step, after)
