"""Tripwire: whether a run of a backup saw what encryption, deletion or renaming by an attacker leaves behind. Pure.

What counts most is a file that was readable before and is not any more. That hardly ever happens by itself, so such files are added up over
weeks, which finds slow encryption, too. What a job does in any case (a spool that loses most of its mail) is learnt from its own past.
"""

from collections.abc import Sequence

from analysis.file_formats import COMPRESSED, LEAST, Sample, wanted
from contracts.record import Record

_READABLE = 0.85
"""A file that was stored in at most so much of its size was no random bytes."""
_EMPTY = 0.002
"""One that was stored in less than this held nothing yet, as a file that was made in advance."""
_JUMP = 0.15
RANDOM = 0.97
"""What was stored in at least so much of its size looks like random bytes."""
_USUAL_TIMES = 1.5
_RUNS_TO_LEARN = 3
_LEAST_DUMP = 4096
"""A smaller dump holds next to nothing: of it no part is missed."""
_EMPTIED = 0.1
"""What one dump may shrink to, as a part of the last one, as long as too few are known to say what is usual."""


class Limits(Record):
    """From where on a run is suspicious. Shares are parts of the files of the snapshot before; `window_s` in seconds."""

    turned: int = 10
    window_s: float = 30 * 86400.0
    lost_share: float = 0.5
    sealed_share: float = 0.1
    renamed_share: float = 0.05
    changed_share: float = 0.9
    shrink: float = 0.5
    grow: float = 10.0
    least: int = 50
    """Fewer files than this make no share."""


class Before(Record):
    """What the repository knows of the content that a file had: its size and the part of it that it took as stored, None when not known."""

    size: int = 0
    ratio: float | None = None


class Look(Record):
    """One file that was read: how it is now, and how it was under this name, or under the one whose place it took (`renamed`)."""

    path: str
    size: int
    sample: Sample
    before: Before | None = None
    ratio: float | None = None
    renamed: bool = False
    was: str = ""
    """The name of the file whose place it took."""
    stranger: bool = False
    """Whether it came with an extension that its directory did not have, where other files went."""


class Figures(Record):
    """What one run measured, against the snapshot before. Counts are of regular files; where a part was looked at, they are projected."""

    files_before: int = 0
    files: int = 0
    bytes_before: int = 0
    bytes_total: int = 0
    changed: int = 0
    new: int = 0
    moved: int = 0
    """New ones whose content was known: moved or copied."""
    lost: int = 0
    """Gone, and not moved."""
    bytes_lost: int = 0
    turned: int = 0
    opaque_changed: int = 0
    lost_random: float = 0.0
    """Part of those gone that were random bytes already, as another program's encrypted data."""
    sealed_bytes: int = 0
    """Of new files that are encrypted, or look like random bytes and are of no known format."""
    renamed: int = 0
    """New content under an old name with an extension that nobody knows, the old file gone."""
    extensions: tuple[str, ...] = ()
    same_choices: bool = True
    """Whether the snapshot before was made by the same settings; else nothing can be said of what is lost."""

    @property
    def lost_share(self) -> float:
        """Part of the files before that are lost."""
        return _share(self.lost, self.files_before)

    @property
    def changed_share(self) -> float:
        """Part of the files before whose content changed."""
        return _share(self.changed, self.files_before)


class Finding(Record):
    """One thing that is over its limit: `name` of the measure, what was measured, the limit, and a clause that says it."""

    name: str
    value: float
    limit: float
    says: str


def turned(look: Look) -> str:
    """Why a file is not readable any more as what it was; "" when it is, or when that cannot be said."""
    sample, before = look.sample, look.before
    if before is None or not sample.slices or look.size < LEAST or before.size < LEAST:
        return "took another file's place and is random" if look.stranger and unreadable(look) else ""
    if sample.broken:
        return f"begins as {sample.format} and is none"
    promised = wanted(look.was or look.path)
    readable = before.ratio is not None and _EMPTY < before.ratio <= _READABLE
    if sample.format in COMPRESSED and not sample.sealed:
        changed = readable and not look.renamed and promised != sample.format and look.ratio is not None
        return f"was readable and is {sample.format} now" if changed else ""
    if promised and promised != sample.format and sample.head_opaque:
        return f"is no {promised} any more"
    if before.ratio is None or not readable:
        return "took another file's place and is random" if look.stranger and unreadable(look) else ""
    if sample.head_opaque and not sample.format:
        return "begins with random bytes"
    if look.ratio is None or not sample.opaque or look.ratio < before.ratio + _JUMP:
        return ""
    if look.ratio >= RANDOM or not sample.blank:
        return f"was stored in {before.ratio:.2f} of its size and is in {look.ratio:.2f}"
    return ""


def unreadable(look: Look) -> bool:
    """Whether a file is encrypted, or random bytes of no known format."""
    sample = look.sample
    if sample.sealed:
        return True
    random = sample.slices > 0 and sample.opaque >= 0.75 * sample.slices and (look.ratio is None or look.ratio >= 0.9)
    return random and sample.format not in COMPRESSED


def findings(figures: Figures, past: Sequence[Figures], added_up: int, limits: Limits) -> tuple[Finding, ...]:
    """What is over its limit. `past` are the runs before that nothing spoke against; `added_up` counts what turned within the window."""
    found = []
    if figures.turned and added_up >= limits.turned:
        says = f"{added_up} files are not readable any more as what they were"
        found.append(Finding(name="turned", value=added_up, limit=limits.turned, says=says))
    found += _renamed(figures, limits)
    found += _changed(figures, past, limits)
    if figures.same_choices:
        found += _lost(figures, past, limits)
        found += _size(figures, past, limits)
    return tuple(found)


def _renamed(figures: Figures, limits: Limits) -> list[Finding]:
    share = _share(figures.renamed, figures.files_before)
    if figures.renamed < limits.turned or share < limits.renamed_share:
        return []
    says = (
        f"{figures.renamed} files have new content and an extension that is not usual ({', '.join(figures.extensions)})"
    )
    return [Finding(name="renamed", value=round(share, 4), limit=limits.renamed_share, says=says)]


def _changed(figures: Figures, past: Sequence[Figures], limits: Limits) -> list[Finding]:
    """Many files changed at once: suspicious if nearly all did, or if most of those that did look like random bytes."""
    if figures.changed < limits.least:
        return []
    limit = _usual([run.changed_share for run in past], limits.changed_share)
    mostly_random = figures.opaque_changed > 0.5 * figures.changed
    if mostly_random:
        limit = _usual([run.changed_share for run in past], limits.changed_share / 2)
    share = figures.changed_share
    if share < limit:
        return []
    what = ", most of them random bytes now" if mostly_random else ""
    says = f"{share:.0%} of the files changed{what}"
    return [Finding(name="changed", value=round(share, 4), limit=round(limit, 4), says=says)]


def _lost(figures: Figures, past: Sequence[Figures], limits: Limits) -> list[Finding]:
    if figures.lost < limits.least and figures.lost < 0.9 * figures.files_before:
        return []
    if figures.files_before < limits.least // 2:
        return []
    share, usual = figures.lost_share, [run.lost_share for run in past]
    found = []
    limit = _usual(usual, limits.lost_share)
    if share >= limit:
        says = f"{share:.0%} of the files are gone"
        found.append(Finding(name="lost", value=round(share, 4), limit=round(limit, 4), says=says))
    limit = _usual(usual, limits.sealed_share)
    if share >= limit and figures.lost_random < 0.5 and figures.sealed_bytes > 0.1 * figures.bytes_lost > 0:
        says = f"{share:.0%} of the files are gone, and {figures.sealed_bytes} bytes came that are encrypted"
        found.append(Finding(name="sealed", value=round(share, 4), limit=round(limit, 4), says=says))
    return found


def _size(figures: Figures, past: Sequence[Figures], limits: Limits) -> list[Finding]:
    sizes = [run.bytes_total for run in past if run.bytes_total]
    usual = sorted(sizes)[len(sizes) // 2] if len(sizes) >= _RUNS_TO_LEARN else 0
    if not usual or figures.files_before < limits.least:
        return []
    factor = figures.bytes_total / usual
    if limits.shrink < factor < limits.grow:
        return []
    limit = limits.shrink if factor <= limits.shrink else limits.grow
    says = f"{figures.bytes_total} bytes, where {usual:.0f} are usual"
    return [Finding(name="size", value=round(factor, 4), limit=limit, says=says)]


def dump_finding(name: str, size: int, past: Sequence[int], limits: Limits) -> Finding | None:
    """What is out of line with the dump `name`, whose sizes were `past`, the last one last; None where nothing is.

    What a dump was before, it may be again: a cache that is flushed now and then is no news.
    """
    if not past or min(past) <= size <= max(past):
        return None
    known = len(past) >= _RUNS_TO_LEARN
    usual = sorted(past)[len(past) // 2] if known else past[-1]
    shrink = limits.shrink if known else min(limits.shrink, _EMPTIED)
    factor = size / usual if usual else limits.grow if size > _LEAST_DUMP * limits.grow else 1.0
    too_small = usual >= _LEAST_DUMP and factor <= shrink
    too_large = known and max(size, usual) >= _LEAST_DUMP and factor >= limits.grow
    if not (too_small or too_large):
        return None
    limit = shrink if too_small else limits.grow
    says = f"the dump {name} has {size} bytes, where {usual} are usual"
    return Finding(name=f"dump {name}", value=round(factor, 4), limit=limit, says=says)


def _usual(past: Sequence[float], limit: float) -> float:
    """The limit, or more where the job itself does more than that in its ordinary runs."""
    return max(limit, _USUAL_TIMES * max(past)) if len(past) >= _RUNS_TO_LEARN else limit


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
