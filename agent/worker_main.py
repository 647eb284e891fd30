"""The lean way into a worker: `python -m agent.worker_main NAME`, as units and the launcher take it; loads no command line library."""

import gc
import importlib
import os
import pwd
import sys
from collections.abc import Callable

import agent.lean  # noqa: F401  # before everything that imports msgspec
from agent import privileges
from agent.hosting import Hosting
from agent.listen_fds import claim
from agent.privileges import WORKERS, WorkerPrivileges
from agent.worker import run_worker
from contracts.errors import HoldfastError, UsageError

CORE_USER = "holdfast"
CORE_USER_VARIABLE = "HOLDFAST_CORE_USER"


def main(arguments: list[str]) -> int:
    """Run the worker that `arguments` names, started by systemd; returns the exit code."""
    if len(arguments) != 1 or arguments[0] not in WORKERS:
        known = ", ".join(sorted(WORKERS))
        return _say(
            UsageError(
                f"expected one worker's name, got {' '.join(arguments) or 'none'}", advice=f"Name one of {known}."
            )
        )
    name = arguments[0]
    try:
        # The composition root alone knows the catalogs; it is named, not imported, so that this machinery stays below it.
        hosting: Callable[[str], Hosting] = importlib.import_module("agent.wiring").hosting
        loaded = hosting(name)
        expected = WORKERS[name]
        privileges.drop(None, expected.capabilities, expected.ambient)
        return serve(name, loaded, expected, core_uids())
    except HoldfastError as error:
        return _say(error)


def serve(name: str, hosting: Hosting, expected: WorkerPrivileges, peers: frozenset[int]) -> int:
    """Take over the socket and serve the core; returns the exit code. Raises `HoldfastError` for a socket that is not the core's."""
    gc.disable()  # nothing made while starting is garbage
    sock = claim(name, peers)
    gc.enable()
    return run_worker(sock, name, hosting, expected)


def core_uids() -> frozenset[int]:
    """Return the users the core may be: root, and the one named by the environment of the unit or else `holdfast`."""
    user = os.environ.get(CORE_USER_VARIABLE, CORE_USER)
    if user.isdecimal():
        return frozenset({0, int(user)})
    try:
        return frozenset({0, pwd.getpwnam(user).pw_uid})
    except KeyError:
        return frozenset({0})


def _say(error: HoldfastError) -> int:
    sys.stderr.write(f"holdfast worker: {error}\n")
    return error.exit_code


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # threads of a look or command that does not end must not keep the process
