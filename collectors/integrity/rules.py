"""Which path is watched how: the settings made into roots, each with its plan for looking and its words for what counts."""

import fnmatch
import os
import stat
from collections.abc import Iterator, Mapping, Sequence

from analysis.excludes import Excludes
from collectors.integrity.options import Watched
from contracts.errors import Unavailable
from contracts.file_change import (
    ATTRIBUTES,
    CAPABILITIES,
    MODE,
    MODIFIED,
    OWNER,
    SETUID,
    TARGET,
    TIMESTOMPED,
)
from contracts.host import Files
from contracts.trees import TreePlan

_ASPECT = {
    MODIFIED: "content",
    TIMESTOMPED: "content",
    TARGET: "content",
    MODE: "mode",
    SETUID: "mode",
    OWNER: "owner",
    ATTRIBUTES: "attributes",
    CAPABILITIES: "attributes",
}
_PATTERN = frozenset("*?[")
MOST_ROOTS = 10_000


class Rule:
    """How one root, and all below it that is no root of its own, is watched."""

    def __init__(self, root: bytes, name: str, watched: Watched) -> None:
        self.root = root
        self.name = name
        self.watched = watched
        self._excludes = Excludes(watched.exclude)
        self._secrets = Excludes(watched.no_diff)

    def plan(self, stops: frozenset[bytes], *, read_again: bool = False, threads: int = 2) -> TreePlan:
        """Return how to look; `entering` is the caller's to add."""
        hashed = self.watched.hash if "content" in self.watched.aspects and self.watched.hash != "none" else ""
        return TreePlan(
            hash_name=hashed,
            hash_below=self.watched.hash_below,
            excluded=self.excluded if self._excludes else None,
            stops=stops,
            read_again=read_again,
            one_filesystem=self.watched.one_filesystem,
            threads=threads,
        )

    def excluded(self, path: bytes, _folder: bool = False) -> bool:
        """Say whether a path is passed over."""
        return self._excludes.match(os.fsdecode(path))

    def shows(self, path: bytes, mode: int, size: int, *, secrets: bool = False) -> bool:
        """Say whether the content of such a file is kept and its changes are shown; `secrets` as if none were secret."""
        return (
            0 < self.watched.diff_below >= size
            and stat.S_ISREG(mode)
            and "content" in self.watched.aspects
            and (secrets or not self.is_secret(path))
        )

    def is_secret(self, path: bytes) -> bool:
        """Say whether a path is among the secrets of the settings."""
        return self._secrets.match(os.fsdecode(path))

    def counting(self, kinds: Sequence[str]) -> tuple[str, ...]:
        """Return those of the words for a change that count here."""
        return tuple(kind for kind in kinds if _ASPECT.get(kind, "") in ("", *self.watched.aspects))


class Rules:
    """All roots. `missing` are patterns and paths that cannot be watched as they are written, with why."""

    def __init__(self, watched: Mapping[str, Watched], files: Files) -> None:
        self.missing: list[str] = []
        self.by_root: dict[bytes, Rule] = {}
        for name, entry in watched.items():
            for path in entry.paths:
                if not path.startswith("/"):
                    self.missing.append(f"{name}: {path} is not a path from the root")
                    continue
                for root in _expanded(os.fsencode(path), files):
                    self.by_root[root] = Rule(root, name, entry)
        if len(self.by_root) > MOST_ROOTS:
            self.missing.append(f"more than {MOST_ROOTS} paths: the patterns match too much")
            self.by_root = dict(list(self.by_root.items())[:MOST_ROOTS])
        self.shown_below = max((rule.watched.diff_below for rule in self.by_root.values()), default=0)
        """The content of no larger file is kept anywhere; 0 when none is."""
        self.stops = frozenset(self.by_root)
        self.tops = tuple(root for root in sorted(self.by_root) if not self._covered(root))

    def rule(self, path: bytes) -> Rule | None:
        """Return the rule of the nearest root at or above a path, None outside of all."""
        while True:
            rule = self.by_root.get(path or b"/")
            if rule is not None:
                return rule
            if path in (b"", b"/"):
                return None
            path = path.rpartition(b"/")[0]

    def is_secret(self, path: bytes) -> bool:
        """Say whether the content of a file is neither kept nor shown."""
        rule = self.rule(path)
        return rule is None or rule.is_secret(path)

    def above(self, path: bytes) -> Rule | None:
        """Return the rule by which a name is listed in its folder: that of the folder."""
        return None if path == b"/" else self.rule(path.rpartition(b"/")[0] or b"/")

    def _covered(self, root: bytes) -> bool:
        """Say whether another root's walk comes by this one."""
        rule = self.above(root)
        if rule is None:
            return False
        at = rule.root
        for part in root[len(at.rstrip(b"/")) + 1 :].split(b"/"):
            at = at.rstrip(b"/") + b"/" + part
            if rule.excluded(at):
                return False
        return True


def _expanded(path: bytes, files: Files) -> Iterator[bytes]:
    """Yield the paths that a pattern stands for now; a path without one stands for itself, whether it is there or not."""
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    found = [b""]
    for number, part in enumerate(parts):
        if not _PATTERN & set(part.decode("latin-1")):
            found = [base + b"/" + part for base in found]
            continue
        found = [base + b"/" + name for base in found for name in _matching(base or b"/", part, files)]
        if number < len(parts) - 1:
            found = [base for base in found if _is_folder(base, files)]
    yield from (root or b"/" for root in found)


def _matching(folder: bytes, pattern: bytes, files: Files) -> list[bytes]:
    try:
        names = files.names(os.fsdecode(folder))
    except Unavailable:
        return []  # nothing there that a pattern could stand for; it is asked for again before every scan
    hidden = pattern.startswith(b".")
    return sorted(n for n in names if fnmatch.fnmatchcase(n, pattern) and (hidden or not n.startswith(b".")))


def _is_folder(path: bytes, files: Files) -> bool:
    try:
        return stat.S_ISDIR(files.stat(os.fsdecode(path)).mode)
    except Unavailable:
        return False
