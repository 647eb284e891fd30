"""What the watch found is told once, also across a crash of the core, and a book that is not the stated one is not trusted."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from collectors.integrity import runs
from collectors.integrity.book import FILE, Book
from collectors.integrity.collector import IntegrityCollector
from collectors.integrity.explaining import Explained
from collectors.integrity.keeper import Keeper
from collectors.integrity.options import Options, WebRoots, watched
from collectors.integrity.rules import Rules
from collectors.integrity.status import Status
from collectors.integrity.watcher import IntegrityWatcher
from contracts.errors import Unavailable
from contracts.snapshot import Snapshot, apply
from contracts.subjects.integrity import BOOK, SUBJECT
from host.linux import LinuxHost
from tests.collectors.integrity.running import Emitted, Running, options, running


def test_what_the_core_did_not_store_is_told_again_and_what_it_did_is_not(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        held = watch.snapshot
        with watch.unheard():
            (tree / "x").write_text("x")
        watch.until(lambda: bool(watch.kinds()))
        stored, watch.snapshot = watch.snapshot, held
        assert [e.kind for e in watch.look() if e.kind == "integrity.created"] == ["integrity.created"]
        watch.snapshot = stored
        assert watch.look() == []


def test_the_root_of_the_baseline_is_stated(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with running(tmp_path / "state", options(tmp_path / "tree")) as watch:
        watch.until(lambda: any(e.kind == "integrity.sealed" for e in watch.told))
        (sealed,) = [e for e in watch.told if e.kind == "integrity.sealed"]
        row = watch.snapshot.rows[BOOK]
        assert (sealed.fields["root"], sealed.fields["position"]) == (row.root, row.position)
        assert "integrity.baseline_made" in {e.kind for e in watch.told}


def test_a_root_is_told_with_the_row_that_says_it_also_when_the_watch_writes_during_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, host, chosen = Book(tmp_path / FILE), LinuxHost(), options(tmp_path)
    host.state = str(tmp_path)
    keeper = Keeper(book, Rules(watched(chosen), host.files), host.trees, lambda: 0, lambda *_: {})
    status = Status(book, keeper, Rules(watched(chosen), host.files))
    read, names = Book.standing, iter((b"/a", b"/b"))

    def written_then(self: Book) -> tuple[bytes, int]:
        standing = read(self)
        if (name := next(names, None)) is not None:
            book.write(name, ())
            status.sealed(force=True)
            book.commit()
        return standing

    monkeypatch.setattr(Book, "standing", written_then)
    collector, snapshot = IntegrityCollector(chosen), Snapshot(subject=SUBJECT)
    told = []
    for _ in range(3):
        report = collector.collect(host, snapshot)
        snapshot = Snapshot(subject=SUBJECT, rows=apply(snapshot.rows, report.changes))
        row = snapshot.rows[BOOK]
        told.append([(e.fields["root"], e.fields["position"]) == (row.root, row.position) for e in report.events])
    assert told == [[], [True], [True]]


@pytest.mark.parametrize("deed", ["rewritten", "older", "another"])
def test_a_book_that_was_changed_behind_our_back_is_not_trusted(tmp_path: Path, deed: str) -> None:
    tree, state = tmp_path / "tree", tmp_path / "state"
    tree.mkdir()
    (tree / "x").write_text("x")
    with running(state, options(tree)) as watch:
        watch.based()
        snapshot = watch.snapshot
    with sqlite3.connect(state / FILE) as base:
        if deed == "rewritten":
            base.execute("UPDATE folders SET nodes = x'90' WHERE path = ?", (bytes(tree),))
        elif deed == "older":
            base.execute("UPDATE facts SET value = x'30' WHERE name = 'position'")
        else:
            base.execute("UPDATE facts SET value = x'6f74686572' WHERE name = 'identity'")
    again = Running(state, options(tree))
    again.snapshot = snapshot
    again.start()
    again.until(lambda: any(e.kind == "integrity.baseline_untrusted" for e in again.told))
    again.stop()


def test_a_worker_without_a_folder_says_so() -> None:
    host = LinuxHost()
    host.state = ""
    with pytest.raises(Unavailable, match="folder of its own"):
        IntegrityCollector(Options()).collect(host, Snapshot(subject=SUBJECT))
    with pytest.raises(Unavailable, match="folder of its own"):
        IntegrityWatcher(Options()).watch(host, Emitted(), object())  # type: ignore[arg-type]


def test_what_cannot_be_read_is_a_blind_spot(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        watch._collector._book.keep("flaws", b"\x92\x02\x91\xa6/x: no")  # type: ignore[union-attr]
        watch._collector._book.commit()  # type: ignore[union-attr]
        watch.look()
        assert watch.blind[0].what == "2 watched names wholly" and "/x: no" in watch.blind[0].detail


def test_what_comes_into_a_web_root_is_weighed_and_asked_of_the_rules(tmp_path: Path) -> None:
    tree, rules = tmp_path / "www", tmp_path / "rules"
    tree.mkdir()
    rules.mkdir()
    (rules / "mine.yar").write_text('rule shell { strings: $a = "b374k" condition: $a }')
    chosen = options(tree, web_roots=WebRoots(entries=("test",), rules=str(rules)))
    with running(tmp_path / "state", chosen) as watch:
        watch.based()
        with watch.unheard():
            (tree / "honest.php").write_text("<?php echo 1;")
            (tree / "words.php").write_text("<?php eval($_POST['x']);")
            (tree / "rule.php").write_text("<?php // b374k")
        watch.until(lambda: len(watch.kinds()) == 5)
        found = {e.key: e for e in watch.told if e.kind == "integrity.webshell_found"}
        assert set(found) == {f"{tree}/words.php", f"{tree}/rule.php"}
        assert found[f"{tree}/rule.php"].fields["yara"] == ["mine:shell"]
        assert watch.blind == ()
        (tree / "words.php").unlink()
        watch.until(lambda: ("deleted", f"{tree}/words.php") in watch.kinds())
    with running(tmp_path / "other", options(tree)) as watch:
        watch.based()
        with watch.unheard():
            (tree / "again.php").write_text("<?php eval($_POST['x']);")
        watch.until(lambda: bool(watch.kinds()))
        assert watch.kinds() == [("created", f"{tree}/again.php")], "no web root by the settings"


def test_where_yara_may_not_run_that_is_a_blind_spot_before_any_file_comes(tmp_path: Path) -> None:
    """As under MemoryDenyWriteExecute=yes: the kernel's own switch for it (prctl PR_SET_MDWE)."""
    (tmp_path / "www").mkdir()
    (tmp_path / "one.yar").write_text("rule r { condition: true }")
    code = (
        "import ctypes; assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0\n"
        "from pathlib import Path\n"
        "from collectors.integrity.options import WebRoots\n"
        "from tests.collectors.integrity.running import options, running\n"
        f"here = Path({str(tmp_path)!r})\n"
        "with running(here / 'state', options(here / 'www', web_roots=WebRoots(rules=str(here)))) as watch:\n"
        "    watch.based()\n"
        "    watch.look()\n"
        "    print(watch.blind[0].what, watch.blind[0].why, watch.blind[0].fix)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        "web shells by YARA rules permission Allow it for this worker: MemoryDenyWriteExecute=no"
    )


def test_what_waits_for_a_run_keeps_nothing_else_waiting_and_comes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    (tree / "theirs").mkdir(parents=True)
    (tree / "www").mkdir()
    waiting = [True]
    monkeypatch.setattr(runs, "by_packages", lambda path: b"/theirs/" in path)
    monkeypatch.setattr(
        runs.Runs, "waits", lambda _, batch: waiting[0] and any(b"/theirs/" in c.path for c in batch.changes)
    )
    monkeypatch.setattr(runs.Runs, "explained", lambda *_, **__: Explained())
    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        for number in range(3):
            with watch.unheard():
                (tree / f"theirs/{number}").write_text("x")
                (tree / f"www/{number}").write_text("x")
            watch.until(lambda n=number: ("created", f"{tree}/www/{n}") in watch.kinds())  # type: ignore[misc]
        book = watch.snapshot.rows[BOOK]
        assert book.ahead > book.reported and not [key for _, key in watch.kinds() if "/theirs/" in key]
        waiting[0] = False
        watch.until(lambda: len(watch.kinds()) == 6)
        watch.look()
        assert sorted(key for _, key in watch.kinds()) == sorted(
            f"{tree}/{at}/{n}" for at in ("theirs", "www") for n in range(3)
        )


def test_what_a_known_format_means_is_told_also_where_no_package_ships_anything(tmp_path: Path) -> None:
    keys = tmp_path / "home/.ssh"
    keys.mkdir(parents=True)
    with running(tmp_path / "state", options(keys, diff_below=4096)) as watch:
        watch.based()
        with watch.unheard():
            (keys / "authorized_keys").write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBbb evil\n")
            (keys / "other").write_text("x\n")
        watch.until(lambda: len(watch.kinds()) == 2)
        (told,) = [event for event in watch.told if event.key.endswith("authorized_keys")]
        assert told.fields["techniques"] == ["T1098.004"] and told.fields["meaning"]
        assert told.severity >= 4
