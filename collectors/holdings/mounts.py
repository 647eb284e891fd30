"""File systems that hold data of their own: what is mounted, without what the kernel makes up.

Source: proc_pid_mountinfo(5). Asked of process 1, since a sandboxed worker has mounts of its own.
"""

import re

from collectors.holdings.reading import Reading
from contracts.errors import Unavailable, Why
from contracts.subjects.holdings import Holding

PART = "mounts"
_LOCAL = re.compile(
    r"ext[234]|xfs|btrfs|zfs|bcachefs|f2fs|jfs|reiserfs|reiser4|nilfs2|ntfs3?|vfat|exfat|msdos|hfsplus|ufs|udf|fuseblk|gfs2|ocfs2|bcachefs"
)
_REMOTE = re.compile(r"nfs4?|cifs|smb3|9p|ceph|glusterfs|afs|lustre|virtiofs|davfs|fuse\..+")
_NO_DATA = (
    "/snap/",
    "/run/",
    "/proc/",
    "/sys/",
    "/dev/",
    "/var/lib/docker/",
    "/var/lib/containers/storage/overlay",
    "/var/lib/kubelet/",
)
_OCTAL = re.compile(r"\\([0-7]{3})")


def look(reading: Reading) -> list[Holding]:
    """Every file system with a device of its own, or of another machine; Unavailable when the table cannot be read."""
    try:
        table = reading.host.files.read("/proc/1/mountinfo", 8 << 20)
    except Unavailable as error:
        if error.why is Why.NOT_PRESENT:
            raise
        reading.miss("what is mounted, outside the sandbox of this worker", error)
        table = reading.host.files.read("/proc/self/mountinfo", 8 << 20)
    found: dict[str, Holding] = {}
    for line in table.decode("utf-8", "surrogateescape").splitlines():
        row = parse(line)
        if row is not None:
            found[row.path] = row  # the last one mounted at a place is the one that is seen
    return list(found.values())


def parse(line: str) -> Holding | None:
    """One line of mountinfo; None for a file system without data, or a part of another one that is mounted once more."""
    before, dash, after = line.partition(" - ")
    words, source = before.split(" "), after.split(" ")
    if not dash or len(words) < 6 or len(source) < 2:
        return None
    root, point, fs = _plain(words[3]), _plain(words[4]), source[0]
    remote = _REMOTE.fullmatch(fs) is not None
    if (not remote and not _LOCAL.fullmatch(fs)) or point.startswith(_NO_DATA):
        return None
    if root != "/" and fs != "btrfs":
        return None  # a bind mount
    detail = f"{fs} from {_plain(source[1])}" + (", on another machine" if remote else "")
    return Holding(part=PART, kind="mount", name=point, path=point, fs=fs, detail=detail)


def is_remote(fs: str) -> bool:
    """Whether a file system's data lies on another machine."""
    return _REMOTE.fullmatch(fs) is not None


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)
