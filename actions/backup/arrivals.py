"""Arrivals: when files came to a repository in a directory, by its own clock; what a pruning on the target side relies on.

The change time is taken, which nobody who writes over SFTP can set.
"""

import time
from collections.abc import Callable
from pathlib import Path

from actions.backup.stores.local import FOLDERS
from actions.backup.stores.store import FileType, is_name


def arrived_ns(root: str | Path) -> dict[str, int]:
    """For each snapshot id the Unix nanoseconds at which its file came here; for `hold.Facts`. OSError when the folder cannot be read."""
    folder = Path(root) / FOLDERS[FileType.SNAPSHOT]
    return {path.name: path.stat().st_ctime_ns for path in folder.iterdir() if is_name(path.name)}


def spare_recent(root: str | Path, seconds: float) -> Callable[[str], bool]:
    """A `spare` for `PruneOptions`: packs that came within so many seconds stay, for a replication may be about to name them.

    One whose time cannot be read is spared.
    """
    since = time.time() - seconds

    def spare(name: str) -> bool:
        try:
            return (Path(root) / FOLDERS[FileType.PACK] / name[:2] / name).stat().st_ctime >= since
        except OSError:
            return True

    return spare
