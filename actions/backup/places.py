"""Places: the store behind what settings and command lines call a repository."""

from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import Store
from contracts.errors import UsageError


def open_place(location: str) -> Store:
    """The store at `location`, a directory of this machine by its absolute path; UsageError for anything else."""
    if location.startswith("/"):
        return LocalStore(location)
    raise UsageError(f'"{location}" is not a place of a repository', advice="give the absolute path of a directory")
