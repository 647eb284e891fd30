"""What stands on the disk now, as the judgement asks it."""

from pathlib import Path

from collectors.integrity.packages.present import Present
from host.linux import LinuxHost


def test_files_are_read_as_they_are(tmp_path: Path) -> None:
    present = Present(LinuxHost())
    (tmp_path / "x").write_bytes(b"x")
    path = str(tmp_path / "x").encode()
    assert present.digest(path, "md5") == "9dd4e461268c8034f5c8564e155c67a6" and present.digest(b"/none", "md5") == ""
    assert present.read(path, 1) == b"x" and present.read(path, 0) is None
    node = present.node(path)
    assert node is not None and present.node(b"/none/x") is None and b"x" in present.names(str(tmp_path).encode())
    assert present.account("root", "daemon") == (0, 1) and present.account("nobody-here", "root") == (None, 0)


def test_a_merged_folder_has_both_names() -> None:
    present = Present(LinuxHost())
    present._merged = frozenset({b"/bin"})
    assert present.unmerged(b"/usr/bin/x") == [b"/usr/bin/x", b"/bin/x"] and present.unmerged(b"/usr/lib/x") == [
        b"/usr/lib/x"
    ]
