"""A small file system for the state of an agent under test, that can be filled and emptied at will."""

import contextlib
import os
import subprocess
import threading
from pathlib import Path

from tests.faults.conftest import Agent


class SmallDisk:
    """A folder of the agent's on a small file system, in a mount namespace that one process keeps."""

    def __init__(self, agent: Agent, name: str = "agent", mebibytes: int = 8) -> None:
        """Mount it over the agent's folder `name`: `agent`, or that of its workers."""
        self.name, place = name, agent.folder / name
        self._place = place
        place.mkdir(mode=0o711)
        mount = f'mount -t tmpfs -o size={mebibytes}m,mode=711 none "{place}" && echo ready && exec sleep 600'
        self._keeper = subprocess.Popen(["unshare", "--mount", "sh", "-c", mount], stdout=subprocess.PIPE)
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == b"ready\n"
        self.inside = ("nsenter", "-t", str(self._keeper.pid), "-m", "--wd=" + os.getcwd())
        self.folder = Path(f"/proc/{self._keeper.pid}/root{place}")
        self._ballast = self.folder / "somebody-elses-log"
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._hog)

    def fill(self) -> None:
        """Fill it, and take every byte that becomes free, the agent's reserve included."""
        self._end.clear()
        self._thread = threading.Thread(target=self._hog)
        self._thread.start()

    def leave(self, size: int) -> None:
        """Fill it but for `size` bytes."""
        there = os.statvfs(self.folder)
        with self._ballast.open("wb", buffering=0) as file:
            file.write(bytes(there.f_bavail * there.f_bsize - size))

    def free(self) -> None:
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._ballast.unlink(missing_ok=True)

    def grow(self, mebibytes: int) -> None:
        """Make room for more."""
        subprocess.run([*self.inside, "mount", "-o", f"remount,size={mebibytes}m", str(self._place)], check=True)

    def close(self) -> None:
        self.free()
        self._keeper.kill()
        self._keeper.wait(10)

    def _hog(self) -> None:
        while not self._end.wait(0.01):
            with self._ballast.open("ab", buffering=0) as file:
                for size in (65536, 4096, 512, 1):
                    with contextlib.suppress(OSError):
                        while not self._end.is_set():
                            file.write(bytes(size))
