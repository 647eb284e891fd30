"""Taking folders out of a process's sight before it drops its privileges: an empty file system over each, in its own mount namespace.

For workers with CAP_DAC_READ_SEARCH, whom permissions do not keep from the agent's key and state. Mounts made later by the host still
appear where its root is shared, so that nothing else becomes invisible; where it is not, integrity says so. Under systemd the units'
InaccessiblePaths= do the same.
"""

import os
from collections.abc import Iterable

from agent import kernel

_CLONE_NEWNS = 0x00020000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REC, _MS_SLAVE = 0x4000, 1 << 19


def hide(folders: Iterable[str]) -> bool:
    """Hide those of `folders` that exist; False where this process may not (no CAP_SYS_ADMIN, or a kernel without namespaces)."""
    present = [folder for folder in folders if os.path.isdir(folder)]  # noqa: PTH112  # kept small: no pathlib in a worker
    if not present:
        return True
    try:
        kernel.unshare(_CLONE_NEWNS)
        kernel.mount(None, "/", None, _MS_REC | _MS_SLAVE)
        for folder in present:
            kernel.mount("none", folder, "tmpfs", _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, "mode=0,size=4k")
    except PermissionError:
        return False
    return True
