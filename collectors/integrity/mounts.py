"""Says which mounts came and went: what is mounted over a watched name changes it, and the kernel's notices do not tell of that."""

import re

from contracts.errors import Unavailable
from contracts.host import Files

TABLE = "/proc/self/mountinfo"
_ESCAPED = re.compile(rb"\\([0-7]{3})")


class Mounts:
    """The mounts of this process's view as they were when last asked."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._raw = b""
        self._known = self._read() or frozenset()

    def changed(self) -> list[bytes]:
        """Return where something was mounted or unmounted since; nothing where the kernel does not say, which scans make up for."""
        found = self._read()
        if found is None:
            return []
        differing, self._known = found ^ self._known, found
        return sorted({point for _, point in differing})

    def are_seen(self) -> bool:
        """Return whether this process sees what the host mounts from now on: it has the host's own view, or one that follows it.

        A view of its own follows only where the host's root is shared (mount_namespaces(7)); systemd makes it so, others do not.
        """
        try:
            if self._files.link("/proc/self/ns/mnt") == self._files.link("/proc/1/ns/mnt"):
                return True
        except Unavailable:
            pass  # another user's process: whether the root is shared says enough
        try:
            lines = self._files.read(TABLE, 8 << 20).splitlines()
        except Unavailable:
            return False
        roots = [line.split(b" - ")[0].split(b" ")[6:] for line in lines if line.split(b" ")[4:5] == [b"/"]]
        return bool(roots) and any(each.startswith((b"shared:", b"master:")) for each in roots[-1])

    def _read(self) -> frozenset[tuple[bytes, bytes]] | None:
        """Return number and place of each mount (proc_pid_mountinfo(5)), None where nothing differs or nothing can be read."""
        try:
            raw = self._files.read(TABLE, 8 << 20)
        except Unavailable:
            return None
        if raw == self._raw:
            return None
        self._raw = raw
        fields = (line.split(b" ") for line in raw.splitlines())
        return frozenset((each[0], _ESCAPED.sub(_letter, each[4])) for each in fields if len(each) > 4)


def _letter(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8) & 0xFF])
