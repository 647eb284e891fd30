"""Follows apt's folder of archives: each that comes to lie there is read at once, before apt can take it away."""

import os
from collections.abc import Callable

from contracts.host import ReadOnlyHost, Stop
from contracts.trees import Place

LOOK_EVERY_S = 300.0
"""How often the folder is looked at without a notice."""
_GONE_S = 30.0


def follow(host: ReadOnlyHost, folder: str, stop: Stop, learn: Callable[[], object]) -> None:
    """Call `learn` at every notice from `folder`, and from time to time, until told to stop; waits for a folder that is not there.

    The kernel's notices are hints: what is missed is found by the next look, if it still lies there. Raises `Unavailable` where the
    kernel gives no notices.
    """
    learn()
    notices = host.trees.notices()
    try:
        while not stop.is_set():
            if not _watched(notices.watch, folder):
                stop.wait(_GONE_S)
                learn()
                continue
            notices.read(stop, LOOK_EVERY_S)
            learn()
    finally:
        notices.close()


def _watched(watch: Callable[[Place, int], bool], folder: str) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        found = os.fstat(descriptor)
        return watch(Place(os.fsencode(folder), found.st_dev, found.st_ino), descriptor)
    finally:
        os.close(descriptor)
