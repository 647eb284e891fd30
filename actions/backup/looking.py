"""Looking: what a person asks of an opened repository without changing it: list, search, compare, write out."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import msgspec

from actions.backup.blobs import BlobType
from actions.backup.diff import Change, Diff, Statistics
from actions.backup.dump import Dumped, dump
from actions.backup.errors import Damaged
from actions.backup.find import Found, FoundObject, Wanted, find, find_blobs, find_packs, find_trees
from actions.backup.ids import parse_id
from actions.backup.keys import load_key_file
from actions.backup.listing import entry_json, list_entries, long_line, snapshot_json
from actions.backup.mount import check_place, mount
from actions.backup.mount_view import View
from actions.backup.repository import Repository
from actions.backup.restorer import find_tree
from actions.backup.rubbish import load_what_reads
from actions.backup.selection import Selection, find_snapshot, resolve, select
from actions.backup.snapshot import Snapshot
from actions.backup.stores.store import FileType, Handle
from actions.backup.tar_stream import Sink
from actions.backup.walk import Entry, Trouble
from contracts.errors import HoldfastError, UsageError
from contracts.text import escape

_CATALOGUED = {"snapshot": FileType.SNAPSHOT, "index": FileType.INDEX, "lock": FileType.LOCK}


def selection(hosts: Sequence[str] = (), tags: Sequence[str] = (), paths: Sequence[str] = ()) -> Selection:
    """Snapshots of one of the hosts, with one of the tag lists (`a,b`: both), with all the paths."""
    return Selection(tuple(hosts), tuple(tuple(tag for tag in each.split(",") if tag) for each in tags), tuple(paths))


class Looking:
    """The part of a desk that changes nothing. Every method loads what it needs; a shared lock keeps prunes away meanwhile.

    Index and snapshot files that do not read, by damage or because somebody who may only add put them there, keep nobody from the
    others: each is told to `passed_over`.
    """

    repository: Repository
    wait_s: float
    passed_over: Callable[[Damaged], None]

    def snapshots(self, chosen: Selection | None = None) -> list[tuple[str, Snapshot]]:
        """Snapshots by id, the oldest first."""
        return select(self.repository, chosen, trouble=self.passed_over)

    def read_index(self) -> None:
        """Load the index as far as it reads."""
        for error in load_what_reads(self.repository):
            self.passed_over(error)

    def snapshot_json(self, id: str, snapshot: Snapshot) -> dict[str, Any]:
        """A snapshot as `restic snapshots --json` shows it."""
        return snapshot_json(id, snapshot)

    def entries(
        self, word: str, folders: Sequence[str], *, recursive: bool, chosen: Selection, trouble: Trouble
    ) -> tuple[str, Snapshot, Iterator[Entry]]:
        """The entries of the snapshot that `word` names."""
        id, snapshot = find_snapshot(self.repository, word, chosen, trouble=self.passed_over)
        self.read_index()
        names = [os.fsencode(folder) for folder in folders]
        return id, snapshot, list_entries(self.repository, snapshot, names, recursive=recursive, trouble=trouble)

    def long_line(self, entry: Entry) -> str:
        """An entry as `restic ls --long` shows it."""
        return long_line(entry)

    def entry_json(self, entry: Entry) -> dict[str, Any]:
        """An entry as `restic ls --json` shows it."""
        return entry_json(entry)

    def find(
        self,
        patterns: Sequence[str],
        kind: str,
        *,
        ignore_case: bool,
        oldest_ns: int | None = None,
        newest_ns: int | None = None,
        words: Sequence[str],
        chosen: Selection,
        trouble: Trouble,
    ) -> Iterator[Found | FoundObject]:
        """Where files are whose path matches, or what the objects of `kind` (blob, tree, pack) belong to; in `words` or all snapshots."""
        if words:
            snapshots = [find_snapshot(self.repository, word, chosen, trouble=self.passed_over) for word in words]
        else:
            snapshots = select(self.repository, chosen, trouble=self.passed_over)
        self.read_index()
        if not kind:
            wanted = Wanted(tuple(patterns), ignore_case=ignore_case, oldest_ns=oldest_ns, newest_ns=newest_ns)
            yield from find(self.repository, snapshots, wanted, trouble=trouble)
            return
        search = {"blob": find_blobs, "tree": find_trees, "pack": find_packs}[kind]
        yield from search(self.repository, snapshots, tuple(patterns), trouble=trouble)

    def found_path(self, match: Found | FoundObject) -> str:
        """The path of a match as text."""
        return escape(match.entry.path) if isinstance(match, Found) else match.path

    def found_line(self, match: Found | FoundObject) -> str:
        """A match as `restic ls --long` shows it; of an object its path."""
        return long_line(match.entry) if isinstance(match, Found) else match.path

    def diff(
        self, before: str, after: str, *, metadata: bool, tell: Callable[[Change], None], trouble: Trouble
    ) -> tuple[str, str, Statistics]:
        """Tell what differs between two snapshots (`ID:FOLDER` for a folder); returns their ids and the sums."""
        first, first_tree = self._tree(before)
        second, second_tree = self._tree(after)
        self.read_index()
        compare = Diff(self.repository, metadata=metadata, trouble=trouble)
        for change in compare.changes(first_tree(), second_tree()):
            tell(change)
        return first, second, compare.statistics

    def dump(self, word: str, path: str, sink: Sink, *, chosen: Selection) -> Dumped:
        """Write a file of a snapshot, or a folder as a tar archive, to `sink`."""
        _, snapshot = find_snapshot(self.repository, word, chosen, trouble=self.passed_over)
        self.read_index()
        return dump(self.repository, snapshot.tree, os.fsencode(path), sink)

    def mount(
        self,
        directory: str,
        *,
        chosen: Selection,
        allow_other: bool,
        locked: bool,
        cache_bytes: int,
        tell: Callable[[str, HoldfastError], None],
        mounted: Callable[[], None],
    ) -> None:
        """Serve the chosen snapshots at `directory` until it is unmounted, under a shared lock if `locked`."""
        check_place(directory)
        with self.repository.lock(wait_s=self.wait_s) if locked else nullcontext():
            view = View(
                self.repository,
                chosen,
                cache_bytes=cache_bytes,
                locked=locked,
                trouble=lambda path, error: tell(os.fsdecode(path), error),
            )
            name = self.repository.store.location
            mount(view, directory, name=name, allow_other=allow_other, tell=tell, mounted=mounted)

    def cat(self, kind: str, word: str) -> bytes:
        """What `restic cat` shows: config, masterkey, or the snapshot, index, lock, key, blob, tree or pack that `word` names."""
        if kind == "config":
            return _pretty(msgspec.to_builtins(self.repository.config))
        if kind == "key":
            name = resolve((name for name, _ in self.repository.store.list(FileType.KEY)), word, "key")
            return _pretty(msgspec.to_builtins(load_key_file(self.repository.store, name)))
        if kind in _CATALOGUED:
            type = _CATALOGUED[kind]
            document = self.repository.files.load(type, resolve(self.repository.files.names(type), word, kind))
            return _pretty(json.loads(document))
        if kind == "pack":
            name = resolve(self.repository.files.names(FileType.PACK), word, "pack")
            return self.repository.store.load(Handle(FileType.PACK, name))
        if kind not in {"blob", "tree"}:
            raise UsageError(
                f'there is no "{kind}" to show', advice="name config, key, snapshot, index, lock, pack, blob or tree"
            )
        return self._blob(kind, word)

    def _blob(self, kind: str, word: str) -> bytes:
        try:
            id = parse_id(word)
        except ValueError as error:
            raise UsageError(str(error), advice="give the whole id") from error
        self.read_index()
        types = [BlobType.TREE] if kind == "tree" else [BlobType.DATA, BlobType.TREE]
        for type in types:
            if self.repository.index.has(type, id):
                return self.repository.load_blob(type, id)
        raise Damaged("index", f"no index names the {kind} {word}")

    def _tree(self, word: str) -> tuple[str, Callable[[], str]]:
        name, _, folder = word.partition(":")
        id, snapshot = find_snapshot(self.repository, name, Selection(), trouble=self.passed_over)
        return id, lambda: find_tree(self.repository, snapshot.tree, folder) if folder else snapshot.tree


def _pretty(document: Any) -> bytes:
    return json.dumps(document, indent=2, default=str).encode() + b"\n"
