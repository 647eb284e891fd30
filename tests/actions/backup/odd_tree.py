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


def grow(root: Path, dice: random.Random, *, entries: int = 60, non_utf8_links: bool = True) -> Path:
    """Fill `root` by lot with whatever a file system takes: names of any bytes, holes, links, attributes, ACLs, devices, modes, times."""
    root.mkdir()
    folders, files = [os.fsencode(root)], list[bytes]()
    for _ in range(entries):
        path = os.path.join(dice.choice(folders), _name(dice))
        if os.path.lexists(path) or len(path) > 3000:
            continue
        what = dice.choice(("dir", "dir", "file", "file", "file", "sparse", "large", "hard", "link", "fifo", "device"))
        if what == "dir":
            os.mkdir(path)
            folders.append(path)
        elif what == "hard" and files:
            os.link(dice.choice(files), path)
            continue
        elif what == "link":
            os.symlink(_target(dice, non_utf8_links), path)
        elif what == "fifo":
            os.mkfifo(path)
        elif what == "device":
            kind = dice.choice((stat.S_IFCHR, stat.S_IFBLK))
            os.mknod(path, kind | 0o600, os.makedev(dice.randrange(1 << 12), dice.randrange(1 << 20)))
        else:
            _file(path, what, dice)
            files.append(path)
        _dress(path, what, dice)
    for folder in reversed(folders):  # what was made in it changed its time
        os.utime(folder, ns=_times(dice))
    return root


def _name(dice: random.Random) -> bytes:
    """A name of up to 255 bytes, mostly short; every byte but / and NUL may be in it."""
    size = dice.choice((1, 2, 8, 8, 20, 255))
    kind = dice.randrange(4)
    if kind == 0:
        name = bytes(dice.choice([byte for byte in range(1, 256) if byte != 0x2F]) for _ in range(size))
    elif kind == 1:
        name = "".join(
            chr(dice.choice((0xE9, 0x200B, 0x2028, 0xFFFD, 0x1F600, 0x41, 0x0D))) for _ in range(size)
        ).encode()
        name = name[:250]
    else:
        name = bytes(dice.choice(b"abc \n\t\\\"'*?[]{}$`<>&|;:-.~#%!\x7f\x01") for _ in range(size))
    return b"x" + name[1:] if name in (b".", b"..") else name


def _target(dice: random.Random, non_utf8: bool) -> bytes:
    if non_utf8 and dice.random() < 0.5:
        return bytes(dice.randrange(1, 256) for _ in range(dice.choice((1, 30, 4000))))
    return "é/".encode() * dice.choice((1, 5, 1300)) + b"end"


def _file(path: bytes, what: str, dice: random.Random) -> None:
    with open(path, "wb") as file:
        if what == "sparse":
            for _ in range(dice.randrange(1, 4)):
                file.seek(dice.randrange(1, 8) << 20, os.SEEK_CUR)
                file.write(dice.randbytes(dice.choice((1, 4096, 70_000))))
            file.truncate(file.tell() + dice.choice((0, 1, 3 << 20)))
        elif what == "large":
            file.write(dice.randbytes(dice.randrange(1 << 20)) * dice.randrange(1, 4))
        else:
            file.write(dice.randbytes(dice.choice((0, 1, 100, 5000))) * dice.choice((1, 1, 20)))


def _dress(path: bytes, what: str, dice: random.Random) -> None:
    """Owner, attributes, mode and times, in the order in which none undoes another."""
    if dice.random() < 0.5:
        os.chown(
            path, dice.choice((0, 7, 1000, 1 << 31)), dice.choice((0, 7, 1000, (1 << 32) - 2)), follow_symlinks=False
        )
    if what == "link":
        os.utime(path, ns=_times(dice), follow_symlinks=False)
        return
    if dice.random() < 0.3:
        os.setxattr(path, "trusted.odd", dice.randbytes(dice.randrange(60)))
    if what in ("dir", "file", "sparse", "large") and dice.random() < 0.4:
        os.setxattr(path, f"user.ä{dice.randrange(9)} {dice.choice('<&>')}", dice.randbytes(dice.randrange(300)))
    os.chmod(path, dice.randrange(0o10000) | (0o700 if what == "dir" else 0))
    if what != "device" and dice.random() < 0.3:
        os.setxattr(path, "system.posix_acl_access", ACL_ALICE_READS)
    if what == "dir" and dice.random() < 0.3:
        os.setxattr(path, "system.posix_acl_default", ACL_ALICE_READS)
    os.utime(path, ns=_times(dice))


def _times(dice: random.Random) -> tuple[int, int]:
    """Access and change: any nanosecond between 1901 and 2446, which is what ext4 holds."""
    return dice.randrange(1 << 62), dice.choice(
        (dice.randrange(1 << 62), -dice.randrange(1 << 60), dice.randrange(10**9))
    )
