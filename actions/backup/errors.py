"""What can go wrong with a repository, each with the exit code that restic's own table gives it.

Codes: 1 any failure, 3 some source could not be read, 10 no repository, 11 locked, 12 wrong password, 130 interrupted.
"""

from contracts.errors import HoldfastError


class NoRepository(HoldfastError):
    """There is no repository at that place."""

    exit_code = 10


class AlreadyRepository(HoldfastError):
    """A new repository would lie on top of one that is there."""


class Locked(HoldfastError):
    """Another process holds a lock that excludes ours; it may be gone later."""

    permanent = False
    exit_code = 11


class Overtaken(Locked):
    """Somebody who locked at the same moment excludes us: what was begun meanwhile is given up."""


class LockLost(HoldfastError):
    """Our own lock was removed by somebody else: what relies on it must stop now."""

    exit_code = 11


class WrongPassword(HoldfastError):
    """No key of the repository opens with this password."""

    exit_code = 12


class Unsupported(HoldfastError):
    """The repository has a format or version that this program does not know; nothing was touched."""


class Damaged(HoldfastError):
    """A file or blob of the repository is not what was written: `where` names it."""

    def __init__(self, where: str, what: str, *, advice: str = "") -> None:
        super().__init__(f"{where}: {what}", advice=advice)
        self.where = where
        self.what = what


class NoSuchBlob(HoldfastError):
    """No index names a blob of that type and id."""
