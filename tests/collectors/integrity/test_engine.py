"""The watch sees what happens, however fast and in whatever order; what it knows in the end is what is there."""

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collectors.integrity import engine
from collectors.integrity.book import FILE, Book
from collectors.integrity.dirty import CALM_LOOKS
from collectors.integrity.keeper import ENTRY, TOPS
from collectors.integrity.requests import Rest, requests
from contracts.errors import Unavailable
from contracts.file_change import Change
from contracts.open_change import Batch, Open
from contracts.trees import Node, Place, TreePlan
from host.trees import LinuxTrees
from tests.collectors.integrity.random_files import Deeds
from tests.collectors.integrity.running import Running, options, replace_file, running

OPERATIONS = int(os.environ.get("HOLDFAST_FILE_OPERATIONS", "3000"))
SEED = int(os.environ.get("HOLDFAST_SEED", "1"))
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
Tree = dict[bytes, Node]


def fresh(root: Path) -> Tree:
    """Return what is there now."""
    return {
        directory.path + b"/" + node.name: node
        for directory in LinuxTrees().walk([Place(os.fsencode(root))], lambda path: (), TreePlan())
        for node in directory.nodes
    }


def kept(state: Path) -> Tree:
    """Return what the book says."""
    book = Book(state / FILE)
    try:
        return {
            path.rstrip(b"/") + b"/" + node.name: node
            for path in book.paths()
            if path != TOPS
            for node in book.known(path)
        }
    finally:
        book.close()


def told(state: Path) -> list[Change]:
    """Return the changes in the journal; nothing is taken out of it while nobody looks."""
    book = Book(state / FILE)
    entries = [ENTRY.decode(body) for _, body in book.told(0, 1 << 30)]
    book.close()
    return [change for entry in entries if isinstance(entry, Batch) for change in entry.changes]


def held(state: Path) -> bool:
    """Say whether a scan under way keeps changes back, to join renames."""
    book = Book(state / FILE)
    found = any(book.held())
    book.close()
    return found


def sign(node: Node | None) -> Any:
    if node is None:
        return None
    return node.mode, node.uid, node.gid, node.content, node.target, node.special, node.attributes


def essence(tree: Tree) -> dict[bytes, Any]:
    return {path: sign(node) for path, node in tree.items()}


def rest(watch: Running, root: Path, seconds: float = 60.0) -> None:
    """Wait until the book says what is there, and stays so.

    Names that changed often wait up to half a minute for a look, and longer where that was in vain: in the end they are looked at at once,
    as for a run of packages. A name that does not wait is looked at no more for that.
    """
    end = time.monotonic() + seconds
    state = Path(watch.host.state)
    while essence(kept(state)) != (now := essence(fresh(root))) or held(state):
        if time.monotonic() > end - seconds / 2:
            watch.engine._dirty.hurry(time.monotonic())
        if watch._error is not None:
            raise watch._error
        if time.monotonic() > end:
            book = essence(kept(state))
            assert {p: v for p, v in book.items() if now.get(p) != v} == {}
            assert {p: v for p, v in now.items() if book.get(p) != v} == {}
        time.sleep(0.2)


def check_reported(state: Path, before: Tree, after: Tree) -> None:
    """Every net change was told, and waits to be accepted as what it is."""
    changes = told(state)
    named = {c.path for c in changes} | {c.former for c in changes}
    moved = {c.former for c in changes if c.former} | {c.path for c in changes if c.former}

    def under_moved(path: bytes) -> bool:
        while (path := path.rpartition(b"/")[0]) > os.fsencode(state.parent):
            if path in moved:
                return True
        return False

    book = Book(state / FILE)
    decode = msgspec.msgpack.Decoder(Open).decode
    opened = {path: decode(body) for path, body in book.all_opened()}
    book.close()
    for path in before.keys() | after.keys():
        if sign(before.get(path)) == sign(after.get(path)):
            continue
        assert path in named or under_moved(path), path
        assert sign(opened[path].before) == sign(before.get(path)), path
        assert sign(opened[path].after) == sign(after.get(path)), path
    assert {path for path in opened if sign(before.get(path)) == sign(after.get(path))} == set()


def test_random_deeds_end_in_what_is_there_and_every_net_change_is_told(tmp_path: Path) -> None:
    """`make integrity-long` does a hundred thousand."""
    tree, state = tmp_path / "tree", tmp_path / "state"
    tree.mkdir()
    deeds = Deeds(tree, SEED)
    deeds.do(500)
    with running(state, options(tree)) as watch:
        watch.based()
        before = fresh(tree)
        deeds.do(OPERATIONS, lambda: time.sleep(0.01))
        rest(watch, tree, 60 + OPERATIONS / 200)
        after = fresh(tree)
    check_reported(state, before, after)


def test_what_happens_between_the_rounds_of_a_look_is_neither_lost_nor_doubled(tmp_path: Path) -> None:
    """The look itself does deeds where it hears of what came meanwhile: no thread's chance is needed for them to fall in between.

    No hard links: of a file with two names in two folders the kernel tells that folder whose name was used.
    """
    tree, state = tmp_path / "tree", tmp_path / "state"
    tree.mkdir()
    deeds, between = (Deeds(tree, seed, left_out=("hard_link",)) for seed in (SEED, SEED + 3))
    turns = iter(range(400))
    deeds.do(200)
    with running(state, options(tree)) as watch:
        watch.based()
        looks, before = watch.engine._looks, fresh(tree)
        catch_up = looks._catch_up

        def does() -> None:
            if next(turns, None) is not None:
                between.do(3)
            catch_up()

        looks._catch_up = does
        for _ in range(100):
            deeds.do(3)
            time.sleep(0.03)
        for _ in turns:
            pass
        rest(watch, tree)
        after = fresh(tree)
    check_reported(state, before, after)


def test_what_happened_while_nobody_watched_is_found_by_the_next_scan(tmp_path: Path) -> None:
    tree, state = tmp_path / "tree", tmp_path / "state"
    tree.mkdir()
    deeds = Deeds(tree, SEED + 1)
    deeds.do(600)
    with running(state, options(tree)) as watch:
        watch.based()
    before = fresh(tree)
    deeds.do(1000)
    with running(state, options(tree)) as watch:
        rest(watch, tree)
        after = fresh(tree)
    check_reported(state, before, after)


@pytest.mark.parametrize("limit", [16])
def test_an_overflow_of_the_queue_is_told_and_nothing_is_lost(tmp_path: Path, limit: int) -> None:
    tree, state = tmp_path / "tree", tmp_path / "state"
    tree.mkdir()
    deeds = Deeds(tree, SEED + 2)
    deeds.do(300)
    held = QUEUE.read_text()
    QUEUE.write_text(str(limit))
    try:
        with running(state, options(tree)) as watch:
            watch.based()
            QUEUE.write_text(held)
            before = fresh(tree)
            deeds.do(2000)
            rest(watch, tree)
            after = fresh(tree)
            assert "integrity.queue_overflowed" in {e.kind for e in watch.emit.events}
            assert watch.emit.gaps
    finally:
        QUEUE.write_text(held)
    check_reported(state, before, after)


def test_each_kind_of_change_is_told_as_what_it_is(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    for name in ("content", "mode", "setuid", "owner", "xattr", "caps", "gone", "moved", "type", "stomp"):
        (tree / name).write_text(name)
    (tree / "link").symlink_to("a")
    os.utime(tree / "stomp", (1, 1))
    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        with watch.unheard():
            replace_file(tree / "content", b"other")
            (tree / "mode").chmod(0o600)
            (tree / "setuid").chmod(0o4755)
            os.chown(tree / "owner", 5, 5)
            os.setxattr(tree / "xattr", "user.note", b"x")
            os.setxattr(tree / "caps", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
            (tree / "gone").unlink()
            (tree / "moved").rename(tree / "folder/here")
            (tree / "type").unlink()
            os.mkfifo(tree / "type")
            (tree / "link").unlink()
            (tree / "link").symlink_to("b")
            (tree / "stomp").write_text("stamp")
            os.utime(tree / "stomp", (1, 1))
            (tree / "new").write_text("new")
        watch.until(lambda: len(watch.kinds()) >= 12)
        time.sleep(0.5)
        watch.look()
    base = str(tree) + "/"
    assert {(kind, key.removeprefix(base)) for kind, key in watch.kinds()} == {
        ("modified", "content"),
        ("permissions_changed", "mode"),
        ("setuid_changed", "setuid"),
        ("owner_changed", "owner"),
        ("attributes_changed", "xattr"),
        ("capabilities_changed", "caps"),
        ("deleted", "gone"),
        ("renamed", "folder/here"),
        ("type_changed", "type"),
        ("link_changed", "link"),
        ("timestomped", "stomp"),
        ("created", "new"),
    }


def test_a_time_that_is_set_back_after_the_change_was_told_is_told_too(tmp_path: Path) -> None:
    """Also by a watch that was started again in between, and only once."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "tool").write_text("first")
    os.utime(tree / "tool", (10**9, 10**9))
    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        with watch.unheard():
            (tree / "tool").write_text("other")
        watch.until(lambda: watch.kinds() == [("modified", f"{tree}/tool")])
    with running(tmp_path / "state", options(tree)) as watch:
        watch.until(lambda: "scan" in watch.snapshot.rows)
        watch.told.clear()
        os.utime(tree / "tool", (10**9 - 5, 10**9 - 5))
        watch.until(lambda: bool(watch.kinds()))
        os.utime(tree / "tool", (10**9, 10**9))
        (tree / "end").touch()
        watch.until(lambda: ("created", f"{tree}/end") in watch.kinds())
    assert watch.kinds() == [("timestomped", f"{tree}/tool"), ("created", f"{tree}/end")]


def test_a_file_that_is_always_being_written_is_named_after_some_looks_and_no_more_once_it_rests(
    tmp_path: Path,
) -> None:
    tree, resting = tmp_path / "tree", threading.Event()
    tree.mkdir()
    (tree / "big").write_bytes(bytes(40 << 20))

    def writes() -> None:
        with (tree / "big").open("r+b") as file:
            while not resting.wait(0.001):
                os.pwrite(file.fileno(), os.urandom(8), 20 << 20)

    def named() -> list[str]:
        return [spot.detail for spot in watch.blind if "changed while it was read" in spot.detail]

    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        writer = threading.Thread(target=writes)
        writer.start()
        try:
            watch.until(lambda: bool(named()))
            assert watch.engine._dirty._hot[os.fsencode(tree), b"big"][0] > CALM_LOOKS
        finally:
            resting.set()
            writer.join()
        watch.until(lambda: not named() and "known" in watch.told[-1].fields["words"])  # type: ignore[operator]


def test_a_folder_and_all_in_it_moves_as_one_change(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for number in range(50):
        (tree / f"a/{number % 5}").mkdir(parents=True, exist_ok=True)
        (tree / f"a/{number % 5}/{number}").write_text(str(number))
    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        (tree / "a").rename(tree / "b")
        watch.until(lambda: bool(watch.kinds()))
        with watch.unheard():
            (tree / "b/3/3").write_text("after the move")
        watch.until(lambda: len(watch.kinds()) > 1)
        assert watch.kinds() == [("renamed", f"{tree}/b"), ("modified", f"{tree}/b/3/3")]


def test_files_that_are_renamed_again_and_again_are_never_told_as_gone_or_new(tmp_path: Path) -> None:
    """Each pause is one in which a look may come between two renames: of one file, in one folder or two, and of folders."""
    tree, chosen = tmp_path / "tree", random.Random(SEED)
    (tree / "x").mkdir(parents=True)
    for number in range(30):
        (tree / f"a{number}").write_text(f"file {number}")
    (tree / "folder").mkdir()
    for number in range(5):
        (tree / f"folder/{number}").write_text(f"below {number}")
    with running(tmp_path / "state", options(tree, single_events=10_000)) as watch:
        watch.based()
        at, folder = {number: tree / f"a{number}" for number in range(30)}, tree / "folder"
        for turn in range(4):
            for number in range(30):
                path = tree / chosen.choice((".", "x")) / f"{'bcdefg'[turn]}{number}"
                at[number] = at[number].rename(path)
                if number % 10 == 0:
                    folder = folder.rename(tree / chosen.choice((".", "x")) / f"folder{turn}{number}")
                time.sleep(chosen.choice((0.0, 0.0, 0.01, 0.03)))
        rest(watch, tree)
        watch.until(lambda: not watch.engine._dirty.pending())
        words = {word for event in watch.told for word in event.fields.get("words", ())}
        assert words == {"renamed"}, [(e.kind, e.key) for e in watch.told if "renamed" not in e.fields.get("words", ())]


def test_a_root_that_is_not_there_yet_is_watched_once_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By notices of the folder it lies in alone."""
    monkeypatch.setattr(engine, "ROOTS_EVERY_S", 600.0)
    tree, file = tmp_path / "later", tmp_path / "file"
    with running(tmp_path / "state", options(tree, file)) as watch:
        watch.based()
        with watch.unheard():
            tree.mkdir()
            (tree / "x").write_text("x")
            file.write_text("1")
        watch.until(lambda: len(watch.kinds()) >= 3)
        with watch.unheard():
            (tree / "x").write_text("changed")
            file.write_text("2")
        watch.until(lambda: len(watch.kinds()) >= 5)
        with watch.unheard():
            (tree / "x").unlink()
            tree.rmdir()
            file.unlink()
        watch.until(lambda: len(watch.kinds()) >= 8)
    comings = [("created", str(tree)), ("created", f"{tree}/x"), ("created", str(file))]
    changings = [("modified", f"{tree}/x"), ("modified", str(file))]
    goings = [("deleted", str(tree)), ("deleted", f"{tree}/x"), ("deleted", str(file))]
    assert sorted(watch.kinds()) == sorted([*comings, *changings, *goings])


KILLED = """
import os, sys, threading, time
sys.path.insert(0, ".")
from pathlib import Path
from tests.collectors.integrity.running import Running, options
watch = Running(Path(sys.argv[1]), options(Path(sys.argv[2])))
watch.start()
print("started", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("delay_s", [0.2, 0.5])
def test_a_kill_in_the_midst_of_a_scan_loses_nothing(tmp_path: Path, delay_s: float) -> None:
    tree, state = tmp_path / "tree", tmp_path / "state"
    for number in range(2000):
        folder = tree / f"{number % 200}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / str(number)).write_text(str(number))
    with running(state, options(tree)) as watch:
        watch.based()
    before = fresh(tree)
    Deeds(tree, SEED + 3).do(500)
    killed = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(state), str(tree)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert killed.stdout is not None
    killed.stdout.readline()
    time.sleep(delay_s)
    killed.kill()
    killed.wait()
    with running(state, options(tree)) as watch:
        rest(watch, tree)
        time.sleep(0.3)
        after = fresh(tree)
    check_reported(state, before, after)


def open_files() -> list[str]:
    """Return what this process has open; other threads, such as a scan that was told to end, close theirs meanwhile."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return found


def test_a_book_without_room_ends_the_watch_with_advice_and_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite says the same of a file that may not grow as of a full disk; what was not written is found by the next watch."""
    tree, state = tmp_path / "tree", tmp_path / "state"
    for number in range(2000):
        (tree / f"d{number % 20}").mkdir(parents=True, exist_ok=True)
        (tree / f"d{number % 20}/{number}").touch()
    opened = Book.__init__

    def small(book: Book, path: Path) -> None:
        opened(book, path)
        book._base.execute("PRAGMA max_page_count = 30")

    monkeypatch.setattr(Book, "__init__", small)
    with (
        pytest.raises(Unavailable, match=f"no room on the disk for {state}/{FILE}") as told,
        running(state, options(tree)) as watch,
    ):
        watch.until(lambda: False)
    assert f"file system of {state}" in told.value.advice
    end = time.monotonic() + 60
    while any("inotify" in each for each in open_files()):
        assert time.monotonic() < end, open_files()
        time.sleep(0.05)
    monkeypatch.undo()
    with running(state, options(tree)) as watch:
        watch.based()
        rest(watch, tree)


def test_rest_comes_when_all_that_the_kernel_told_of_is_in_the_journal(tmp_path: Path) -> None:
    """Also a name that changes all the time, whose next look would else be seconds away."""
    tree = tmp_path / "tree"
    tree.mkdir()
    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        for number in range(12):
            replace_file(tree / "hot", b"%d" % number)
            time.sleep(0.04)
        (tree / "last").write_text("x")
        rest = Rest()
        requests(tmp_path / "state" / FILE).put(rest)
        end = time.monotonic() + 60
        while not rest.done:
            assert time.monotonic() < end and not rest.error
            time.sleep(0.01)
        watch.look()
        assert {key for _, key in watch.kinds()} >= {str(tree / "hot"), str(tree / "last")}
        told = [event for event in watch.told if event.key == str(tree / "hot")]
        assert sha256(b"11").hexdigest() in "".join(told[-1].fields["after"]), "as it was last"


def test_a_watch_that_is_told_to_end_does_so_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "IDLE_S", 600.0)
    (tmp_path / "tree").mkdir()
    with running(tmp_path / "state", options(tmp_path / "tree")) as watch:
        watch.based()
        time.sleep(0.5)  # it has nothing to do any more
