"""Archives are learnt within the time in which apt could delete them."""

import os
import threading
import time
from pathlib import Path

from collectors.integrity.packages.follow import follow
from host.linux import LinuxHost


class Stopper:
    """`contracts.host.Stop`."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._set = threading.Event()

    def set(self) -> None:
        self._set.set()
        os.write(self._write, b"x")

    def is_set(self) -> bool:
        return self._set.is_set()

    def wait(self, timeout_s: float) -> bool:
        return self._set.wait(timeout_s)

    def fileno(self) -> int:
        return self._read


def test_an_archive_is_learnt_at_once_and_the_end_is_prompt(tmp_path: Path) -> None:
    stop, learnt = Stopper(), []
    (tmp_path / "partial").mkdir()

    def learn() -> None:
        learnt.append((time.monotonic(), sorted(path.name for path in tmp_path.glob("*.deb"))))

    thread = threading.Thread(target=follow, args=(LinuxHost(), str(tmp_path), stop, learn))
    thread.start()
    time.sleep(0.3)
    (tmp_path / "partial/a.deb").write_bytes(b"x")
    began = time.monotonic()
    os.rename(tmp_path / "partial/a.deb", tmp_path / "a.deb")
    while not any(names for _, names in learnt):
        assert time.monotonic() - began < 20
        time.sleep(0.01)
    stop.set()
    thread.join(20)
    assert not thread.is_alive() and len(learnt) < 10
