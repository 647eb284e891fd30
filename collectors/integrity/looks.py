"""Follows what notices named: looks at those names, goes into folders that came, takes out those that went, and moves those that moved."""

import stat
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec.structs import replace

from collectors.integrity.dirty import SETTLE_S, WRITING_S, Dirty
from collectors.integrity.keeper import TOPS, Keeper
from collectors.integrity.rules import Rule, Rules
from collectors.integrity.scan import Entering
from contracts.errors import Unavailable
from contracts.file_change import CREATED, DELETED, REALTIME, TYPE, Change
from contracts.trees import CHANGED, GONE, SWAPPED, Node, Notices, Place, TreePlan, Trees

AT_ONCE = 20_000
"""So many changes of one look are joined; of a larger tree that comes, the rest is told in parts."""
MOST_ROUNDS = 8
"""So often a look goes on to the other names of files that are renamed all the while."""


class Looks:
    """What is done about notices, for the engine's thread. `notices` is None where the kernel tells nothing."""

    def __init__(self, keeper: Keeper, trees: Trees, dirty: Dirty, rules: Rules, catch_up: Callable[[], None]) -> None:
        self.notices: Notices | None = None
        self.unwatched: set[bytes] = set()
        """Folders whose changes are not heard of."""
        self._keeper, self._trees, self._dirty, self._rules = keeper, trees, dirty, rules
        self._catch_up = catch_up
        self._plans: dict[bytes, TreePlan] = {}
        self._anchors: dict[bytes, list[bytes]] = {}
        for top in rules.tops:
            self._anchors.setdefault(_folder_of(top), []).append(top)

    def entering(self) -> dict[bytes, Entering]:
        """Return what a walk has to do in each folder, by root."""
        if self.notices is None:
            return {}
        return {root: self._enter for root, rule in self._rules.by_root.items() if rule.watched.realtime}

    def look(self, ready: Mapping[bytes, set[bytes] | None]) -> list[Change]:
        """Look at names of folders; returns what differs."""
        changes: list[Change] = []
        for further in reversed(range(MOST_ROUNDS)):
            found: list[Change] = []
            for folder in sorted(ready):
                found += self._look_in(folder, ready[folder])
            changes += found
            # A file that went, or came, may have other names that wait: both sides of a rename are seen in one look. So may one that went
            # in an earlier round: where it was looked for in this one it may have been no more.
            moving = [change.path for change in changes if change.kinds[0] in (CREATED, DELETED)]
            if not moving or not further:
                break  # what waits yet is looked at when it is due
            self._catch_up()  # it may have been renamed since, just before this look
            ready = self._dirty.together(moving, time.monotonic())
            if not ready:
                break
        return changes + self._follow(changes)

    def _look_in(self, folder: bytes, names: set[bytes] | None) -> list[Change]:
        changes: list[Change] = []
        tops = self._rules.tops if folder == TOPS else self._named(folder, names)
        if tops:
            changes += self._look_at_tops(tops)
        rule = self._rules.rule(folder) if folder != TOPS else None
        if rule is not None:
            changes += self._look_at(folder, names, rule)
        return changes

    def check_roots(self) -> None:
        """Have the roots themselves looked at; those that are not there may have come."""
        self._dirty.whole(TOPS, time.monotonic())

    def refresh_roots(self) -> None:
        """Hear of changes in the folders that hold roots, and know the roots themselves before they are walked."""
        if self.notices is not None:
            for folder in self._anchors:
                self._trees.names(Place(folder), (), {}, TreePlan(hash_name="", entering=self._enter))
        known = {node.name for node in self._keeper.book.known(TOPS)}
        fresh = [top for top in self._rules.tops if top[1:] not in known]
        if fresh:
            nodes = {node.name: node for node in self._keeper.book.known(TOPS)}
            for top in fresh:
                if not self._keeper.book.fact(based(top)):
                    node = self._node_of(top, None)
                    nodes |= {node.name: node} if node is not None else {}
            self._keeper.adopt(TOPS, tuple(nodes[name] for name in sorted(nodes)))

    def gone(self, path: bytes, found_by: str = REALTIME) -> list[Change]:
        """A folder is not there any more: forget it and all below."""
        if self.notices is not None:
            self.notices.drop([path])
        self._dirty.drop([path])
        below = path + b"/"
        self.unwatched = {folder for folder in self.unwatched if folder != path and not folder.startswith(below)}
        return self._keeper.gone(path, found_by)

    def _named(self, folder: bytes, names: set[bytes] | None) -> Sequence[bytes]:
        tops = self._anchors.get(folder, ())
        return [top for top in tops if names is None or top.rpartition(b"/")[2] in names]

    def _look_at_tops(self, tops: Iterable[bytes]) -> list[Change]:
        before = self._keeper.book.known(TOPS)
        nodes = {node.name: node for node in before}
        for top in tops:
            node = self._node_of(top, nodes.get(top[1:]))
            if node is not None:
                nodes[top[1:]] = node
            else:
                nodes.pop(top[1:], None)
        return self._keeper.folder(TOPS, before, tuple(nodes[name] for name in sorted(nodes)), REALTIME)

    def _node_of(self, top: bytes, before: Node | None) -> Node | None:
        name = top.rpartition(b"/")[2] or b"/"
        plan = self._plan(self._rules.by_root[top])
        try:
            node = self._trees.node(top, plan, replace(before, name=name) if before is not None else None)
        except Unavailable as error:
            self._keeper.flaws[top] = error.message
            return before
        self._keeper.flaws.pop(top, None)
        if node is None:
            return None
        named = replace(node, name=top[1:])
        return before if before is not None and named == before else named

    def _look_at(self, folder: bytes, names: set[bytes] | None, rule: Rule) -> list[Change]:
        book = self._keeper.book
        if not book.holds(folder) and not self._keeper.leads_to(folder):
            return []  # its own folder knows more: what comes is gone into from there
        place = self.notices.place(folder) if self.notices is not None else None
        place = place or Place(folder)
        before = book.known(folder)
        held = {node.name: node for node in before}
        directory = self._trees.names(place, names, held, self._plan(rule))
        if directory.flaw in (GONE, SWAPPED):
            self._look_again(folder, names)
            return []
        if directory.flaw:
            self._keeper.flaws[folder] = directory.flaw
            return []
        self._keeper.flaws.pop(folder, None)
        for node in directory.nodes:
            if node.flaw == CHANGED:
                self._dirty.name(folder, node.name, time.monotonic() + WRITING_S)
        if names is None:
            return self._keeper.folder(folder, before, directory.nodes, REALTIME)
        after = {name: node for name, node in held.items() if name not in names}
        after |= {node.name: node for node in directory.nodes}
        return self._keeper.folder(folder, before, tuple(after[name] for name in sorted(after)), REALTIME)

    def _look_again(self, folder: bytes, names: set[bytes] | None) -> None:
        """It went, or moved: its own folder knows; what was named in it is looked at where it is by then."""
        now = time.monotonic()
        if folder in self._rules.tops:
            self._dirty.whole(TOPS, now)
        else:
            self._dirty.name(_folder_of(folder), folder.rpartition(b"/")[2], now - SETTLE_S)
        if self._keeper.book.holds(folder):
            for name in names or ():
                self._dirty.name(folder, name, now + SETTLE_S)

    def _follow(self, changes: Sequence[Change]) -> list[Change]:
        """Go on with folders that came, went or moved."""
        # The book may know one folder by two names, when a notice was lost: each name that went counts.
        went, came, again = _folders(changes)
        moved = []
        for path, node in came:
            former = next((pair for pair in went if (pair[1].device, pair[1].inode) == (node.device, node.inode)), None)
            if former is not None and self._rules.rule(former[0]) is self._rules.rule(path):
                went.remove(former)
                moved.append((former[0], path))
        further: list[Change] = []
        # All are lifted before any is put down: they may have changed places. The deepest first: one may have lain within another.
        lifted = sorted(moved, key=lambda pair: pair[0], reverse=True)
        places = [(source, b"\0%d" % number, path) for number, (source, path) in enumerate(lifted)]
        for source, between, _ in places:
            self._keeper.lift(source, between)
            self._move(source, between)
        for path, _ in went:
            further += self.gone(path)
        for _, between, path in places:
            if self._keeper.book.holds(path):
                further += self._keeper.gone(path, REALTIME)  # left over from a notice that was lost
            self._keeper.put(between, path)
            self._move(between, path)
        for path, node in (*came, *again):
            further += self._go_in(Place(path, node.device, node.inode), len(changes) + len(further))
        return further

    def _move(self, former: bytes, path: bytes) -> None:
        self._dirty.move(former, path)
        if self.notices is not None:
            self.notices.move(former, path)

    def _go_in(self, place: Place, so_far: int) -> list[Change]:
        """Look at a folder that came, with all below it."""
        rule = self._rules.rule(place.path)
        if rule is None:
            return []
        changes: list[Change] = []
        plan = replace(self._plan(rule), threads=1, entering=self.entering().get(rule.root))
        for directory in self._trees.walk([place], self._keeper.book.known, plan):
            if directory.flaw in (GONE, SWAPPED):
                continue  # whatever took it away is told by a notice of its own
            if directory.flaw:
                self._keeper.flaws[directory.path] = directory.flaw
                continue
            before = self._keeper.book.known(directory.path)
            found = self._keeper.folder(directory.path, before, directory.nodes, REALTIME)
            changes += found
            for change in found:
                if _folder_before(change) is not None:
                    changes += self.gone(change.path)
            if so_far + len(changes) > AT_ONCE:
                self._keeper.tell(changes, REALTIME)
                changes, so_far = [], 0
        return changes

    def _enter(self, place: Place, descriptor: int) -> None:
        """Hear of changes in a folder that is about to be listed."""
        assert self.notices is not None
        try:
            if self.notices.watch(place, descriptor):
                self.unwatched.discard(place.path)
                return
        except OSError as error:
            self._keeper.flaws[place.path] = f"cannot be watched: {error.strerror}"
        self.unwatched.add(place.path)

    def _plan(self, rule: Rule) -> TreePlan:
        plan = self._plans.get(rule.root)
        if plan is None:
            plan = self._plans[rule.root] = rule.plan(self._rules.stops)
        return plan


def based(root: bytes) -> str:
    """Return the name of the fact that a root's baseline is made."""
    return "based:" + root.hex()


def _folder_of(path: bytes) -> bytes:
    return path.rpartition(b"/")[0] or b"/"


Folders = list[tuple[bytes, Node]]


def _folders(changes: Sequence[Change]) -> tuple[Folders, Folders, Folders]:
    """Return the folders that went, those that came, and those that did both and are where they were.

    Looks that followed each other may have seen one folder at several names, one after the other: a name at which it neither was at first
    nor is at last is none of them.
    """
    steps: dict[tuple[bytes, int, int], tuple[bool, bool, Node]] = {}
    for change in changes:
        for node, is_there in ((_folder_before(change), False), (_folder_after(change), True)):
            if node is not None:
                key = change.path, node.device, node.inode
                was_there = steps[key][0] if key in steps else not is_there
                steps[key] = was_there, is_there, node
    ends = [(path, *each) for (path, _, _), each in steps.items()]
    return (
        [(path, node) for path, was_there, is_there, node in ends if was_there and not is_there],
        [(path, node) for path, was_there, is_there, node in ends if is_there and not was_there],
        [(path, node) for path, was_there, is_there, node in ends if is_there and was_there],
    )


def _folder_before(change: Change) -> Node | None:
    """Return the folder that is not there any more after a change."""
    node = change.before if change.kinds[0] in (DELETED, TYPE) else None
    return node if node is not None and stat.S_ISDIR(node.mode) else None


def _folder_after(change: Change) -> Node | None:
    """Return the folder that was not there before a change."""
    node = change.after if change.kinds[0] in (CREATED, TYPE) else None
    return node if node is not None and stat.S_ISDIR(node.mode) else None
