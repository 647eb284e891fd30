"""Which package database this machine has: dpkg's, else rpm's; without either, the desk of dpkg says that there is none."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.integrity.packages import dpkg_state, rpm_database
from contracts.errors import Unavailable, Why
from contracts.host import ReadOnlyHost

if TYPE_CHECKING:
    from collectors.integrity.packages.desk import PackageDesk
    from collectors.integrity.packages.rpm_desk import RpmDesk


def desk_of(host: ReadOnlyHost, folder: Path, archives: Sequence[str] = ()) -> "PackageDesk | RpmDesk":
    """Return the desk of this machine's packages. `folder` is one of our own; `archives` are folders where those of dpkg lie besides."""
    database = "" if _has_dpkg(host) else rpm_database.folder_of(host)
    if database:  # each is loaded where it is wanted: what verifies signatures takes megabytes
        from collectors.integrity.packages.rpm_desk import RpmDesk

        return RpmDesk(host, folder, database)
    from collectors.integrity.packages.desk import PackageDesk

    return PackageDesk(host, folder, archives)


def _has_dpkg(host: ReadOnlyHost) -> bool:
    """Say whether there is a state of dpkg; one that may not be read is there."""
    try:
        host.files.stat(f"{dpkg_state.DPKG}/status")
    except Unavailable as error:
        return error.why is not Why.NOT_PRESENT
    return True
