"""What the core reads for workers that may not read, and keeps for workers that have no place."""

from pathlib import Path

import pytest

from agent.handover import Handover
from agent.supervision import WorkerSpec
from contracts.errors import Malformed
from contracts.frames import PAGE_BYTES, Keep, Material


class State:
    def __init__(self) -> None:
        self.bans: dict[str, bytes] = {"192.0.2.1": b"", "allowed 192.0.2.2": b""}
        self.number = 3

    def revision(self, subject: str) -> int:
        assert subject == "bans"
        return self.number

    def rows(self, subject: str) -> dict[str, bytes]:
        assert subject == "bans"
        return self.bans


class Held:
    def __init__(self, folder: Path, roles: dict[str, tuple[str, ...]]) -> None:
        self.state = State()
        self.holder = Handover(folder / "kept", self.state)
        materials = {
            "rules": roles,
            "cache": {"kept": ("cache", "rules")},
            "bans": {"subject": ("bans",)},
            "sets": {"all-kept": ("evidence",)},
        }
        keeps = {"evidence": (1000, 2500), "cache": (1 << 20, 1 << 20)}
        self.spec = WorkerSpec(
            name="sensor", watchers=("traffic",), materials={"traffic": materials}, keeps={"traffic": keeps}
        )

    def fetch(self, name: str = "rules", have: str = "") -> list[Material]:
        return list(self.holder.hand_over(self.spec, "traffic", name, have))

    def keep(self, name: str, data: bytes, last: bool = True, what: str = "evidence") -> None:
        self.holder.keep(self.spec, Keep(watcher="traffic", what=what, name=name, data=data, last=last))


def test_files_and_folders_are_handed_over_in_pieces_and_only_when_they_changed(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "b.rules").write_bytes(b"b" * (PAGE_BYTES + 5))
    (folder / "a.rules").write_bytes(b"")
    (folder / "notes.txt").write_bytes(b"no rules")
    held = Held(
        tmp_path, {"rules": (str(folder), str(tmp_path / "none.rules")), "threshold": (str(folder / "notes.txt"),)}
    )
    found = held.fetch()
    assert [(one.role, Path(one.path).name, len(one.data)) for one in found[:-1]] == [
        ("rules", "a.rules", 0),
        ("rules", "b.rules", PAGE_BYTES),
        ("rules", "b.rules", 5),
        ("rules", "none.rules", 0),
        ("threshold", "notes.txt", 8),
    ]
    assert found[3].problem == "no such file or directory" and found[-1].last
    (again,) = held.fetch(have=found[-1].signature)
    assert again.unchanged and again.last
    (folder / "a.rules").write_bytes(b"new")
    assert len(held.fetch(have=found[-1].signature)) == 6


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    secret = tmp_path / "secret"
    held = Held(tmp_path, {"rules": (str(tmp_path / "empty"), "/dev/null"), "secret-x": (f"file:{secret}",)})
    empty, device, missing, _ = held.fetch()
    assert (
        "that ends with .rules" in empty.problem
        and device.problem == "it is no file"
        and "cannot be read" in missing.problem
    )
    secret.write_text("abc\n")
    assert held.fetch()[2].data == b"abc"


def test_the_keys_of_a_subject_are_handed_over_until_it_changes(tmp_path: Path) -> None:
    held = Held(tmp_path, {})
    subject, end = held.fetch("bans")
    assert subject.data == b"192.0.2.1\nallowed 192.0.2.2"
    assert held.fetch("bans", end.signature)[0].unchanged
    held.state.number += 1
    assert len(held.fetch("bans", end.signature)) == 2


def test_what_is_kept_comes_back_with_its_key_and_the_files_signature(tmp_path: Path) -> None:
    held = Held(tmp_path, {"rules": ("/none",)})
    key, end = held.fetch("cache")
    assert key.role == "key" and len(key.data) == 32 and end.signature == held.fetch()[-1].signature
    held.keep("rules.packed", b"x" * 10, last=False, what="cache")
    held.keep("rules.packed", b"y" * 10, what="cache")
    again, kept, _ = held.fetch("cache")
    assert again.data == key.data and (kept.role, kept.path, kept.data) == (
        "kept",
        "rules.packed",
        b"x" * 10 + b"y" * 10,
    )
    assert (tmp_path / "kept" / "kept.key").stat().st_mode & 0o777 == 0o600


def test_the_oldest_gives_way_and_names_and_sizes_are_checked(tmp_path: Path) -> None:
    held = Held(tmp_path, {})
    for number in range(4):
        held.keep(f"{number}.pcap", bytes(900))
    assert [one.name for one in held.holder.listed("traffic", "evidence")] == [
        "2.pcap",
        "3.pcap",
    ] and held.holder.dropped == 2
    assert held.holder.content("traffic", "evidence", "3.pcap") == bytes(900)
    assert held.holder.content("traffic", "evidence", "../../kept.key") is None
    for name, data, what in (
        ("../x", b"", "evidence"),
        ("x" * 200, b"", "evidence"),
        ("x", bytes(1001), "evidence"),
        ("x", b"", "other"),
    ):
        with pytest.raises(Malformed):
            held.keep(name, data, what=what)
    assert not list((tmp_path / "kept").rglob("*.part"))


def test_what_came_halfway_is_forgotten_with_its_worker_and_many_at_once_are_refused(tmp_path: Path) -> None:
    held = Held(tmp_path, {})
    held.keep("a", b"half", last=False)
    held.holder.forget(held.spec)
    assert not list((tmp_path / "kept").rglob("*.part"))
    held.keep("a", b"x", last=False)
    held.keep("b", b"x", last=False)
    with pytest.raises(Malformed):
        held.keep("c", b"x", last=False)


def test_a_disk_that_takes_nothing_loses_that_and_no_more(tmp_path: Path) -> None:
    held = Held(tmp_path, {})
    (tmp_path / "kept" / "traffic").mkdir(parents=True)
    (tmp_path / "kept" / "traffic" / "evidence").write_bytes(b"a file where the folder should be")
    held.keep("a", b"x", last=False)
    held.keep("a", b"y")
    assert held.holder.lost == 1


def test_everything_of_a_sort_is_handed_back(tmp_path: Path) -> None:
    held = Held(tmp_path, {})
    assert [one.last for one in held.fetch("sets")] == [True], "nothing is kept"
    held.keep("a.lst", b"one")
    held.keep("b.lst", b"two")
    found = held.fetch("sets")
    assert sorted((one.role, one.path, one.data) for one in found[:-1]) == [
        ("kept", "a.lst", b"one"),
        ("kept", "b.lst", b"two"),
    ]
    assert found[-1].last and not found[-1].role


def test_lists_beyond_what_all_of_them_may_have_are_named_and_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.handover.LIMITS", {"list": 1 << 20})
    folder = tmp_path / "lists"
    folder.mkdir()
    for name, size in (("a", 700_000), ("b", 700_000), ("c", 300_000)):
        (folder / name).write_bytes(b"x" * size)
    found = Held(tmp_path, {"list": (str(folder),), "rules": (str(folder / "b"),)}).fetch()
    sizes: dict[str, int] = {}
    for one in found:
        sizes[f"{one.role} {Path(one.path).name}"] = sizes.get(f"{one.role} {Path(one.path).name}", 0) + len(one.data)
    assert (sizes["list a"], sizes["list b"], sizes["list c"], sizes["rules b"]) == (700_000, 0, 300_000, 700_000)
    (told,) = [one.problem for one in found if one.problem]
    assert told == "the files of this sort are larger than 1 MiB together; this one was not read"
