"""Trees of files are seen as they are, quickly the second time, and nothing in them leads outside or makes the look wait."""

import os
import stat
import threading
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from contracts.trees import GONE, SWAPPED, Directory, Node, Place, TreePlan
from host import trees
from host.trees import LinuxTrees

PLAN = TreePlan()


def seen(root: Path, plan: TreePlan = PLAN, known: dict[bytes, tuple[Node, ...]] | None = None) -> dict[bytes, Node]:
    before = known or {}
    return {
        directory.path + b"/" + node.name: node
        for directory in LinuxTrees().walk([Place(os.fsencode(root))], lambda path: before.get(path, ()), plan)
        for node in directory.nodes
    }


def folders(root: Path, plan: TreePlan = PLAN) -> dict[bytes, Directory]:
    return {found.path: found for found in LinuxTrees().walk([Place(os.fsencode(root))], lambda path: (), plan)}


def test_a_tree_is_seen_whole(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_bytes(b"content")
    (tmp_path / "a/empty").touch(mode=0o600)
    (tmp_path / "link").symlink_to("a/b/file")
    os.link(tmp_path / "a/b/file", tmp_path / "again")
    os.mkfifo(tmp_path / "fifo")
    nodes = seen(tmp_path)
    base = os.fsencode(tmp_path)
    assert nodes[base + b"/a/b/file"].content == sha256(b"content").digest()
    assert nodes[base + b"/a/empty"].content == sha256(b"").digest()
    assert nodes[base + b"/link"].target == b"a/b/file"
    assert nodes[base + b"/again"].links == 2
    assert stat.S_ISFIFO(nodes[base + b"/fifo"].mode) and nodes[base + b"/fifo"].flaw == ""
    assert len(nodes) == 7


def test_names_may_hold_any_byte(tmp_path: Path) -> None:
    names = [b"new\nline", b"\xff\xfe", b"-rf", b" ", b"x" * 255]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(name)
    assert {path.rpartition(b"/")[2] for path in seen(tmp_path)} == set(names)


def test_paths_longer_than_the_kernel_takes_are_a_flaw_not_an_absence(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir(b"d" * 240, dir_fd=folder)
        below = os.open(b"d" * 240, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    found = folders(tmp_path)
    assert [flaw for flaw in (d.flaw for d in found.values()) if flaw] == ["File name too long"]


def test_a_second_look_reads_only_what_changed(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / str(number)).write_bytes(b"%d" % number)
    first = {found.path: found.nodes for found in folders(tmp_path).values()}
    (tmp_path / "7").write_bytes(b"other")
    spoilt = {
        path: tuple(
            Node(*[b"kept" if f == "content" else getattr(n, f) for f in Node.__struct_fields__]) for n in nodes
        )
        for path, nodes in first.items()
    }
    second = seen(tmp_path, known=spoilt)
    kept = [path for path, node in second.items() if node.content == b"kept"]
    assert len(kept) == 19
    assert second[os.fsencode(tmp_path / "7")].content == sha256(b"other").digest()
    again = seen(tmp_path, TreePlan(read_again=True), spoilt)
    assert all(node.content != b"kept" for node in again.values())


@pytest.mark.parametrize("field", ["mode", "uid", "gid", "size", "mtime_ns", "ctime_ns", "inode", "device"])
def test_any_other_metadata_has_a_file_read_again_and_another_count_of_links_does_not(
    tmp_path: Path, field: str
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    root, path = os.fsencode(tmp_path), os.fsencode(tmp_path / "file")
    node = replace(seen(tmp_path)[path], content=b"kept")
    assert seen(tmp_path, known={root: (node,)})[path] == node
    linked = replace(node, links=2)
    assert seen(tmp_path, known={root: (linked,)})[path] == node
    other = replace(node, **{field: getattr(node, field) + 1})
    assert seen(tmp_path, known={root: (other,)})[path].content == sha256(b"x").digest()


def test_content_of_same_length_and_time_put_back_is_noticed_by_ctime(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"aaaa")
    os.utime(file, ns=(1, 1))
    first = {found.path: found.nodes for found in folders(tmp_path).values()}
    file.write_bytes(b"bbbb")
    os.utime(file, ns=(1, 1))
    assert seen(tmp_path, known=first)[os.fsencode(file)].content == sha256(b"bbbb").digest()


def test_extended_attributes_and_capabilities_are_seen(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    plain = seen(tmp_path)[os.fsencode(file)]
    raw = bytes.fromhex("0100000200040000000000000000000000000000")
    os.setxattr(file, "security.capability", raw)
    marked = seen(tmp_path)[os.fsencode(file)]
    assert plain.attributes == b"" and plain.capabilities == b""
    assert marked.capabilities == raw and len(marked.attributes) == 16
    os.setxattr(tmp_path / "file", "user.note", b"x")
    assert seen(tmp_path)[os.fsencode(file)].attributes != marked.attributes


def test_what_is_larger_than_asked_for_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 1000)
    assert seen(tmp_path, TreePlan(hash_below=999))[os.fsencode(tmp_path / "big")].content == b""
    assert seen(tmp_path, TreePlan(hash_name=""))[os.fsencode(tmp_path / "big")].content == b""


def test_blake3_is_an_option(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    node = seen(tmp_path, TreePlan(hash_name="blake3"))[os.fsencode(tmp_path / "empty")]
    assert node.content.hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


def test_excluded_folders_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "keep").mkdir()
    (tmp_path / "skip").mkdir()
    (tmp_path / "skip/file").touch()
    plan = TreePlan(excluded=lambda path, folder: folder and path.endswith(b"/skip"))
    assert [path.rpartition(b"/")[2] for path in seen(tmp_path, plan)] == [b"keep"]


def test_a_place_that_is_no_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert [d.flaw for d in folders(tmp_path / "file").values()] == ["Not a directory"]


def test_a_walk_goes_on_where_another_one_was_left(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"{number}/below").mkdir(parents=True)
        (tmp_path / f"{number}/below/file").touch()
    walk = LinuxTrees().walk([Place(os.fsencode(tmp_path))], lambda path: (), PLAN)
    first, places = [], []
    for directory in walk:
        first.append(directory.path)
        if len(first) == 20:
            places = walk.left()
            break
    rest = [d.path for d in LinuxTrees().walk(places, lambda path: (), PLAN)]
    assert sorted(first + rest) == sorted(folders(tmp_path))


def test_a_folder_where_it_stops_is_named_and_not_gone_into(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").touch()
    assert set(seen(tmp_path, TreePlan(stops=frozenset({os.fsencode(tmp_path / "a")})))) == {
        os.fsencode(tmp_path / "a")
    }


def test_whoever_asks_is_told_of_each_folder_before_it_is_listed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    def entering(place: Place, descriptor: int) -> None:
        assert os.fstat(descriptor).st_ino == place.inode
        if place.path.endswith(b"/a"):
            (tmp_path / "a/late").touch()

    assert os.fsencode(tmp_path / "a/late") in seen(tmp_path, TreePlan(entering=entering))


def test_some_names_of_a_folder_can_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").touch()
    found = os.stat(tmp_path)
    place = Place(os.fsencode(tmp_path), found.st_dev, found.st_ino)
    directory = LinuxTrees().names(place, [b"none", b"a"], {}, PLAN)
    assert [(n.name, n.content) for n in directory.nodes] == [(b"a", sha256(b"x").digest())]
    other = Place(place.path, place.device, place.inode + 1)
    assert LinuxTrees().names(other, [b"a"], {}, PLAN).flaw == SWAPPED
    assert LinuxTrees().names(Place(place.path + b"/none"), [b"a"], {}, PLAN).flaw == GONE


def test_a_link_on_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real/below").mkdir(parents=True)
    (tmp_path / "real/below/file").touch()
    (tmp_path / "link").symlink_to("real")
    assert LinuxTrees().names(Place(os.fsencode(tmp_path / "link/below")), [b"file"], {}, PLAN).flaw
    assert LinuxTrees().node(os.fsencode(tmp_path / "link/below/file"), PLAN) is None
    assert [d.flaw for d in folders(tmp_path / "link/below").values()] == ["Not a directory"]


def test_content_is_that_of_the_very_file(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"text")
    trees = LinuxTrees()
    node = trees.node(path, PLAN)
    assert node is not None and trees.content(path, node, 4) == b"text"
    assert trees.content(path, node, 3) is None
    (tmp_path / "file").write_bytes(b"else")
    assert trees.content(path, node, 4) is None
    (tmp_path / "file").unlink()
    assert trees.content(path, node, 4) is None


def test_a_root_that_is_not_there_says_so(tmp_path: Path) -> None:
    assert [d.flaw for d in folders(tmp_path / "none").values()] == [GONE]


def test_a_folder_swapped_for_a_link_leads_nowhere(tmp_path: Path) -> None:
    """The swap happens while the tree is walked: what lies behind the link is never looked at."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    tree = tmp_path / "tree"
    for number in range(200):
        (tree / f"{number:03}").mkdir(parents=True)
    swapped = threading.Event()

    def known(path: bytes) -> tuple[Node, ...]:
        if path.endswith(b"/150") and not swapped.is_set():
            (tree / "150").rmdir()
            (tree / "150").symlink_to(outside)
            swapped.set()
        return ()

    names = [n.name for d in LinuxTrees().walk([Place(os.fsencode(tree))], known, PLAN) for n in d.nodes]
    assert swapped.is_set() and b"secret" not in names


def test_a_folder_swapped_for_another_is_a_flaw(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a").mkdir(parents=True)
    (tmp_path / "other").mkdir()

    def known(path: bytes) -> tuple[Node, ...]:
        if path.endswith(b"/a"):
            (tree / "a").rename(tmp_path / "gone")
            (tmp_path / "other").rename(tree / "a")
        return ()

    flaws = [d.flaw for d in LinuxTrees().walk([Place(os.fsencode(tree))], known, PLAN)]
    assert flaws == ["", "another folder stands there now than was listed"]


def test_other_filesystems_are_left_alone() -> None:
    inside = folders(Path("/dev"), TreePlan(hash_name=""))
    assert b"/dev/shm" not in inside or os.stat("/dev/shm").st_dev == os.stat("/dev").st_dev
    assert b"/dev/pts" not in inside


def test_an_error_in_a_thread_reaches_the_caller(tmp_path: Path) -> None:
    def broken(path: bytes, folder: bool) -> bool:
        raise ZeroDivisionError

    (tmp_path / "x").touch()
    with pytest.raises(ZeroDivisionError):
        folders(tmp_path, TreePlan(excluded=broken))


def test_one_name_can_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    node = LinuxTrees().node(os.fsencode(tmp_path / "file"), PLAN)
    assert node is not None and node.content == sha256(b"x").digest()
    assert LinuxTrees().node(os.fsencode(tmp_path / "none"), PLAN) is None
    assert LinuxTrees().node(os.fsencode(tmp_path / "file/below"), PLAN) is None


@settings(max_examples=25, deadline=None)
@given(
    files=st.dictionaries(
        st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map("/".join),
        st.binary(max_size=300_000),
        max_size=12,
    ),
    threads=st.integers(1, 4),
)
def test_every_file_is_hashed_as_it_is(
    files: dict[str, bytes], threads: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("tree")
    written = {}
    for name, content in files.items():
        path = root / ("/".join(f"d{part}" for part in name.split("/")[:-1]) or ".") / f"f{name[-1]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written[os.fsencode(path.resolve())] = sha256(content).digest()
    nodes = seen(root, TreePlan(threads=threads))
    assert {path: node.content for path, node in nodes.items() if stat.S_ISREG(node.mode)} == written


def test_a_proof_is_of_the_nonce_and_the_present_content(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    trees = LinuxTrees()
    assert trees.proof(path, b"nonce") == sha256(b"noncetext").digest()
    assert [trees.proof(os.fsencode(tmp_path / name), b"") for name in ("link", "fifo", "none")] == [None, None, None]


def test_all_names_of_one_folder_can_be_looked_at(tmp_path: Path) -> None:
    for name in ("a", "b", "skip"):
        (tmp_path / name).touch()
    entered: list[bytes] = []
    plan = TreePlan(
        excluded=lambda path, folder: path.endswith(b"skip"), entering=lambda place, _: entered.append(place.path)
    )
    found = LinuxTrees().names(Place(os.fsencode(tmp_path)), None, {}, plan)
    assert [node.name for node in found.nodes] == [b"a", b"b"] and entered == [os.fsencode(tmp_path)]


def test_a_name_that_goes_while_it_is_looked_at_is_gone_and_one_that_is_another_by_then_has_a_flaw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def goes(reader: object, folder: int, name: bytes, *rest: object) -> Node:
        if name != b"stays":
            os.unlink(name, dir_fd=folder)
        if name == b"other":
            os.symlink(b"stays", name, dir_fd=folder)
        return node_of(reader, folder, name, *rest)  # type: ignore[arg-type]

    node_of = trees.node_of
    monkeypatch.setattr(trees, "node_of", goes)
    for name in ("gone", "other", "stays"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("gone")
    found = LinuxTrees().names(Place(os.fsencode(tmp_path)), None, {}, PLAN)
    assert [(node.name, bool(node.flaw)) for node in found.nodes] == [(b"other", True), (b"stays", False)]
    (tmp_path / "gone").write_text("again")
    assert LinuxTrees().node(os.fsencode(tmp_path / "gone"), PLAN) is None
