"""What is mounted over a watched file or folder changes it, though no notice tells of that."""

import subprocess
import sys
from pathlib import Path

import pytest

from collectors.integrity.mounts import Mounts
from contracts.errors import Unavailable, Why

LINE = b"%d 1 0:1 / %s rw - tmpfs t rw\n"


class Table:
    def __init__(self) -> None:
        self.raw: bytes | None = LINE % (1, b"/a")

    def read(self, path: str, max_bytes: int) -> bytes:
        assert path == "/proc/self/mountinfo" and max_bytes > 1 << 20
        if self.raw is None:
            raise Unavailable(Why.OTHER, "no")
        return self.raw


def test_what_came_and_went_is_named_by_its_place() -> None:
    table = Table()
    mounts = Mounts(table)  # type: ignore[arg-type]
    assert mounts.changed() == []
    table.raw = LINE % (1, b"/a") + LINE % (2, rb"/with\040space") + LINE % (3, b"/a")
    assert mounts.changed() == [b"/a", b"/with space"], "a second one over the same place is one, too"
    assert mounts.changed() == []
    held, table.raw = table.raw, None
    assert mounts.changed() == []
    table.raw = held
    assert mounts.changed() == []
    table.raw = b"broken\n"
    assert mounts.changed() == [b"/a", b"/with space"]


class View(Table):
    """A process whose view of mounts is the host's or its own, with or without a way for later mounts to come into it."""

    def __init__(self, own: bytes, optional: bytes) -> None:
        super().__init__()
        self.own, self.raw = own, LINE % (1, b"/a") + b"2 1 8:1 / / rw,relatime%s - ext4 /dev/x rw\n" % optional

    def link(self, path: str) -> bytes:
        return b"mnt:[1]" if path == "/proc/1/ns/mnt" else self.own


@pytest.mark.parametrize(
    ("own", "optional", "seen"),
    [
        (b"mnt:[1]", b"", True),
        (b"mnt:[2]", b"", False),
        (b"mnt:[2]", b" master:1", True),
        (b"mnt:[2]", b" shared:5 master:1", True),
    ],
)
def test_a_view_of_its_own_that_does_not_follow_the_hosts_is_known(own: bytes, optional: bytes, seen: bool) -> None:
    assert Mounts(View(own, optional)).are_seen() is seen  # type: ignore[arg-type]


CODE = """
import subprocess, sys, tempfile
from pathlib import Path
from tests.collectors.integrity.running import options, running
here = Path(sys.argv[1])
tree = here / "tree"
(tree / "folder").mkdir(parents=True)
(tree / "file").write_text("as it was")
(tree / "folder/inner").write_text("x")
(here / "evil").write_text("evil")
(here / "other").mkdir()
(here / "other/inner").write_text("other")
with running(here / "state", options(tree)) as watch:
    watch.based()
    subprocess.run(["mount", "--bind", here / "evil", tree / "file"], check=True)
    watch.until(lambda: ("modified", str(tree / "file")) in watch.kinds() or ("timestomped", str(tree / "file")) in watch.kinds())
    subprocess.run(["umount", tree / "file"], check=True)
    watch.until(lambda: len([key for _, key in watch.kinds() if key == str(tree / "file")]) == 2)
    watch.told.clear()
    subprocess.run(["mount", "-t", "tmpfs", "hfmount", tree / "folder"], check=True)
    watch.until(lambda: ("deleted", str(tree / "folder/inner")) in watch.kinds())
    subprocess.run(["umount", tree / "folder"], check=True)
    watch.until(lambda: ("created", str(tree / "folder/inner")) in watch.kinds())
print("done")
"""


def test_what_is_mounted_over_watched_names_is_told_within_seconds_and_so_is_its_end(tmp_path: Path) -> None:
    """In a mount namespace of its own."""
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", CODE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout == "done\n", done.stderr[-3000:]
