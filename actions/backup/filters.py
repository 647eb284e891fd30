"""Filters: what a job's settings leave out, as the archiver asks for it."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass

from actions.backup.archiver import Choices
from actions.backup.options import JobOptions
from analysis.excludes import CACHE_TAG, Excludes, parse_tag, read_patterns
from contracts.host import Files

_MAX_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class Filter:
    """Says of an entry by path and status whether it is left out. `own` are directories by device and inode that are never saved."""

    excludes: Excludes
    larger_than: int = 0
    own: frozenset[tuple[int, int]] = frozenset()

    def __call__(self, path: bytes, status: os.stat_result) -> bool:
        if self.excludes and self.excludes.match(os.fsdecode(path)):
            return True
        if stat.S_ISREG(status.st_mode):
            return 0 < self.larger_than < status.st_size
        return (status.st_dev, status.st_ino) in self.own


def choices(job: JobOptions, files: Files, environment: Mapping[str, str], own: frozenset[tuple[int, int]]) -> Choices:
    """The archiver's choices for a job; Unavailable when an exclude file cannot be read, UsageError for a bad pattern in it."""
    patterns = list(job.excludes)
    for path in job.exclude_files:
        patterns += read_patterns(files.read(path, _MAX_FILE).decode("utf-8", "surrogateescape"), environment)
    tags = [parse_tag(entry) for entry in (*job.exclude_if_present, *((CACHE_TAG,) if job.exclude_caches else ()))]
    return Choices(
        excluded=Filter(Excludes(patterns, job.iexcludes), job.exclude_larger_than, own),
        tags=tuple((os.fsencode(name), beginning) for name, beginning in tags),
        one_file_system=job.one_file_system,
    )
