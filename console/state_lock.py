"""One console per state directory: two would each remember what the database holds, and one of them wrongly."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.errors import HoldfastError

NAME = "console.lock"


class AlreadyRuns(HoldfastError):
    """Another console works on this state directory."""

    exit_code = 73  # EX_CANTCREAT, as the agent says it


@contextmanager
def held(state: Path) -> Iterator[None]:
    """Hold the lock of a state directory, which ends with the process at the latest; raises `AlreadyRuns`."""
    try:
        descriptor = os.open(state / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HoldfastError(
            f"{state / NAME} cannot be opened: {error.strerror}", advice="check who may write the state directory"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise AlreadyRuns(
            f"another console runs on {state} already",
            advice="stop it first, or give this one another directory with --state-dir",
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)
