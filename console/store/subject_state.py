"""How parts of a subject's rows follow one another: pure, by the rules in `docs/design/lanes.md`."""

from enum import Enum

from contracts.record import Record
from contracts.wire import SubjectPart


class SubjectState(Record):
    """What is held of a subject: its revision, and which change's first pages are kept aside (`coming` 0: none)."""

    revision: int = 0
    coming_base: int = 0
    coming: int = 0


class Step(Enum):
    """What to do with a part."""

    REPEAT = "repeat"
    """It is held already."""
    STAGE = "stage"
    """Keep it aside with the pages that came before it."""
    STAGE_ANEW = "stage_anew"
    """Discard what was kept aside and keep this."""
    APPLY_STAGED = "apply_staged"
    """It is the last page: apply what was kept aside, and it."""
    APPLY = "apply"
    """It is a whole change; discard what was kept aside."""
    MISMATCH = "mismatch"
    """It does not fit what is held."""


def advance(state: SubjectState, part: SubjectPart) -> tuple[Step, SubjectState]:
    """Say what to do with `part`, and what is held afterwards."""
    if part.base > 0 and part.base != state.revision:
        return (Step.REPEAT if part.revision == state.revision else Step.MISMATCH), state
    continues = bool(state.coming) and (state.coming_base, state.coming) == (part.base, part.revision)
    if part.more:
        coming = SubjectState(revision=state.revision, coming_base=part.base, coming=part.revision)
        return (Step.STAGE if continues else Step.STAGE_ANEW), coming
    return (Step.APPLY_STAGED if continues else Step.APPLY), SubjectState(revision=part.revision)
