"""A directory with everything a file system can hold, and a way to compare two such directories to the last bit of metadata."""

import hashlib
import os
import random
import socket
import stat
from pathlib import Path

ACL_ALICE_READS = bytes.fromhex(
    "02000000 01000600 ffffffff 02000400 e8030000 04000400 ffffffff 10000400 ffffffff 20000000 ffffffff".replace(
        " ", ""
    )
)
"""system.posix_acl_access: user::rw-, user:1000:r--, group::r--, mask::r--, other::---"""

NAMES = [
    b"plain",
    b"a<b>&c",
    b'quo"te',
    b"back\\slash",
    b"new\nline",
    b"\xff\xfe not utf-8",
    "zwj \u200b \u2028 é 😀".encode(),
    b" ",
    b"\x01\x7f\a\b",
    b"-rf",
    b"...",
]


def make(root: Path, *, seed: int = 1, non_utf8_links: bool = True) -> Path:
    """Fill `root`."""
    dice = random.Random(seed)
    root.mkdir()
    for number, name in enumerate(NAMES):
        path = os.path.join(os.fsencode(root), name)
        with open(path, "wb") as file:
            file.write(dice.randbytes(dice.randrange(1, 3000)))
        os.chmod(path, [0o644, 0o4755, 0o2755, 0o600, 0o000, 0o1777][number % 6])
        os.utime(path, ns=(dice.randrange(1 << 60), dice.randrange(1 << 60)))
    (root / "empty").touch()
    (root / "zeros").write_bytes(bytes(100_000))
    with (root / "sparse").open("wb") as file:
        file.seek(20 << 20)
        file.write(b"end")
    (root / "big random").write_bytes(dice.randbytes(6 << 20))
    (root / "big text").write_bytes(b"".join(b"line %d\n" % (n * n) for n in range(400_000)))
    os.utime(root / "empty", ns=(-10_000_000_001, -1))
    os.utime(root / "zeros", ns=(0, 1_000_000_000))
    os.chown(root / "big text", 12345, 54321)
    for name, value in (
        ("user.empty", b""),
        ("user.bytes", b"\x00\xff<&>"),
        ("user.naïve", b"x"),
        ("trusted.t", b"root"),
    ):
        os.setxattr(root / "zeros", name, value)
    os.setxattr(root / "big text", "system.posix_acl_access", ACL_ALICE_READS)
    os.link(root / "plain", root / "hard link")
    (root / "deep").mkdir()
    os.link(root / "plain", root / "deep" / "hard link")
    at = root / "deep"
    for number in range(30):
        at = at / f"level {number}"
        at.mkdir()
    (at / "bottom").write_text("bottom")
    (root / "dir empty").mkdir(mode=0o700)
    (root / "dir sticky").mkdir()
    (root / "dir sticky").chmod(0o1777)
    (root / "dir setgid").mkdir()
    (root / "dir setgid").chmod(0o2750)
    os.setxattr(root / "dir setgid", "user.dir", b"1")
    os.symlink("a<b>&c", root / "link")
    os.symlink("/nowhere/at/all", root / "dangling")
    if non_utf8_links:
        os.symlink(b"\xff\x00"[:1] + b"target", os.fsencode(root) + b"/odd link")
    os.lchown(root / "link", 777, 888)
    os.utime(root / "link", ns=(5, 1_234_567_890_123_456_789), follow_symlinks=False)
    os.mkfifo(root / "fifo", 0o640)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "block", stat.S_IFBLK | 0o660, os.makedev(259, 70000))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(root / "socket"))
    os.utime(root / "dir empty", ns=(1, 999_999_999))
    os.utime(root, ns=(1, 1_600_000_000_123_456_000))
    return root


def shape(root: Path, *, sparse: bool = False) -> dict[bytes, tuple[object, ...]]:
    """Everything that a backup should preserve, by relative path. Sockets are left out, as restic does."""
    found: dict[bytes, tuple[object, ...]] = {}
    inodes: dict[int, bytes] = {}
    base = os.fsencode(root)
    paths = [base]
    while paths:
        path = paths.pop()
        status = os.lstat(path)
        if stat.S_ISSOCK(status.st_mode):
            continue
        content: object = None
        if stat.S_ISREG(status.st_mode):
            with open(path, "rb") as file:
                content = hashlib.sha256(file.read()).hexdigest()
            if sparse:
                content = (content, status.st_blocks < 100 and status.st_size > 1 << 20)
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        elif stat.S_ISDIR(status.st_mode):
            paths += [os.path.join(path, name) for name in os.listdir(path)]
        elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            content = status.st_rdev
        attributes = {
            name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
        }
        relative = os.path.relpath(path, base)
        found[relative] = (
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_mtime_ns,
            content,
            sorted(attributes.items()),
        )
    for relative in sorted(found):
        status = os.lstat(os.path.join(base, relative))
        if not stat.S_ISDIR(status.st_mode):
            first = inodes.setdefault(status.st_ino, relative)
            found[relative] += (first,)
    return found
