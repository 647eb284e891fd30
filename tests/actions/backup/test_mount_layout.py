"""The folders above the snapshots are those of restic's mount; `test_mount.py` compares them with the real one."""

from actions.backup.mount_layout import Folder, Link, Root, file_name, layout
from actions.backup.snapshot import Snapshot

TREE = "ab" * 32


def snapshot(time: str, host: str = "web", tags: tuple[str, ...] = ()) -> Snapshot:
    return Snapshot(time=time, tree=TREE, paths=["/etc"], hostname=host, tags=list(tags))


def folder(top: Folder, *names: bytes) -> Folder:
    for name in names:
        found = top.entries[name]
        assert isinstance(found, Folder)
        top = found
    return top


def test_every_snapshot_stands_under_its_id_time_host_and_tags() -> None:
    top = layout([("a1" * 32, snapshot("2026-01-02T03:04:05.678+01:00", tags=("x", "y")))])
    root = top.entries[b"ids"].entries[b"a1a1a1a1"]  # type: ignore[union-attr]
    assert isinstance(root, Root)
    assert (root.tree, list(top.entries)) == (TREE, [b"hosts", b"ids", b"snapshots", b"tags"])
    for place in ((b"snapshots",), (b"hosts", b"web"), (b"tags", b"x"), (b"tags", b"y")):
        assert folder(top, *place).entries[b"2026-01-02T03:04:05+01:00"] == root
        assert folder(top, *place).entries[b"latest"] == Link(b"2026-01-02T03:04:05+01:00", root.time_ns)


def test_latest_is_the_newest_of_its_folder_and_one_second_holds_several() -> None:
    times = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.7Z"]
    top = layout([(f"{number:02x}" * 32, snapshot(time)) for number, time in enumerate(times)])
    names = list(folder(top, b"snapshots").entries)
    assert sorted(names) == [
        b"2026-01-01T00:00:00Z",
        b"2026-01-01T00:00:00Z-1",
        b"2026-01-01T00:00:00Z-2",
        b"latest",
    ]
    latest = folder(top, b"snapshots").entries[b"latest"]
    assert isinstance(latest, Link)
    assert latest.target == b"2026-01-01T00:00:00Z-2"


def test_two_ids_that_begin_alike_stand_side_by_side() -> None:
    top = layout([("aa" * 32, snapshot("2026-01-01T00:00:00Z")), ("aa" * 31 + "bb", snapshot("2026-01-02T00:00:00Z"))])
    assert sorted(folder(top, b"ids").entries) == [b"aaaaaaaa", b"aaaaaaaa-1"]


def test_a_host_or_tag_that_no_file_can_be_called_leads_nowhere_else() -> None:
    assert [file_name(text) for text in ("", ".", "..", "a/b", "../etc", "ok")] == [
        "_",
        "_",
        "__",
        "a_b",
        ".._etc",
        "ok",
    ]
    top = layout([("a1" * 32, snapshot("2026-01-01T00:00:00Z", host="../x", tags=("..", "t" * 300)))])
    assert list(folder(top, b"hosts").entries) == [b".._x"]
    assert list(folder(top, b"tags").entries) == [b"__", b"t" * 255]


def test_without_snapshots_the_folders_are_there_and_empty() -> None:
    assert [(name, list(folder(layout([]), name).entries)) for name in (b"ids", b"tags")] == [
        (b"ids", []),
        (b"tags", []),
    ]
