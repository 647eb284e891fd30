"""The core process: `python -m agent.daemon -c FILE`. Starts everything in order, follows the signals, and ends in order.

A configuration is loaded whole or not at all: a broken one is refused with an event, and the former stays in force. Killed at any
moment, the next start finds the spool and the snapshots in step.
"""

import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import agent.lean  # noqa: F401  # before everything that imports msgspec
from agent import kernel, plan, privileges, start
from agent.clock import SystemClock
from agent.launcher import Launcher
from agent.loop import Loop
from agent.sdnotify import Notifier
from agent.supervision import Connector
from agent.systemd_sockets import SystemdSockets
from contracts.errors import HoldfastError
from settings.errors import ConfigErrors

if TYPE_CHECKING:
    from agent.instance import Instance

LAUNCHER_ENDED = 70
"""Exit code (EX_SOFTWARE) when the launcher is gone: without it no worker comes back, and only a restart helps."""

LATE_MODULES = (
    "agent.config_watch",
    "schedule",
    "agent.timesofday",
    "agent.outputs.ndjson",
    "agent.outputs.journald",
    "agent.outputs.prometheus",
    "agent.outputs.traffic_metrics",
)
"""Modules that are imported late, if at all; a core that gave up root's rights may be unable to read them by then."""

PASS = "CAP_DAC_READ_SEARCH"


def main(words: list[str]) -> int:
    """Run the agent; returns the exit code. What goes wrong is one clear line on standard error."""
    notifier = Notifier()
    try:
        arguments = start.parse(words)
        return run(arguments, notifier)
    except ConfigErrors as error:
        for item in error.items:
            _say(str(item))
        notifier.status(f"the configuration is not valid: {error.items[0]}")
        return error.exit_code
    except HoldfastError as error:
        _say(str(error))
        notifier.status(str(error))
        return error.exit_code


def run(arguments: start.Arguments, notifier: Notifier) -> int:
    """Start, run until told to stop, and end in order."""
    from agent import wiring

    signal.signal(
        signal.SIGHUP, signal.SIG_IGN
    )  # until there is something to reload; unhandled it would end the process
    kernel.spare_memory()
    made = plan.make(Path(arguments.config).absolute())
    directories = made.settings.directories
    paths = arguments.paths(directories.state, directories.runtime, made.settings.control.socket)
    start.make_directories(paths)
    held = start.lock(paths)
    launcher: Launcher | None = None
    connector: Connector
    if start.under_systemd(notifier, paths):
        users = {name: worker.user for name, worker in privileges.WORKERS.items()}
        connector = SystemdSockets(paths.runtime / "workers", users)
    else:
        launcher = connector = Launcher.start(
            privileges.WORKERS,
            wiring.hosting,
            ("host.linux", "host.dry_run"),
            hidden=(str(paths.state),),
            folders=start.make_worker_folders(paths, privileges.WORKERS),
        )
    try:
        # Only now: what the core alone needs would be in the memory of the launcher and of every worker, too.
        from agent.instance import Instance

        if launcher is not None and privileges.may_change_user():
            shed(paths)
        loop, clock = Loop(SystemClock().monotonic), SystemClock()
        agent = Instance(loop, clock, paths, made, connector, wiring.judges(), notifier)
        code = _serve(agent, loop, notifier, launcher)
    finally:
        if launcher is not None:
            launcher.stop()
        os.close(held)
    return code


def shed(paths: start.Paths) -> None:
    """Give up every capability for good, but stay root by name: a checkout that only root may read stays readable.

    Where the way to the agent's own files leads through somebody else's closed folder (a checkout in a home directory, run with sudo),
    the capability to pass is kept, and `status` shows it.
    """
    from agent.preload import preload

    preload(LATE_MODULES)
    kept = () if start.reachable_without_privileges(paths) else (PASS,)
    privileges.drop(None, kept, kept)


def _serve(agent: "Instance", loop: Loop, notifier: Notifier, launcher: Launcher | None) -> int:
    stopping, code = False, 0

    def stop(reason: str) -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            notifier.stopping()
            agent.stop(reason, loop.stop)

    def orphaned() -> None:
        nonlocal code
        _say("the launcher ended, so no worker can be started any more; the agent ends, too")
        code = LAUNCHER_ENDED
        stop("the launcher ended")

    _on(signal.SIGTERM, lambda: loop.call_soon_threadsafe(lambda: stop("SIGTERM")))
    _on(signal.SIGINT, lambda: loop.call_soon_threadsafe(lambda: stop("SIGINT")))
    _on(signal.SIGHUP, lambda: loop.call_soon_threadsafe(agent.reload))
    if launcher is not None:
        loop.add_reader(os.pidfd_open(launcher.pid), orphaned)
    agent.start()
    gc.collect()
    gc.freeze()  # what start-up made stays; collecting it again and again would only touch its pages
    kernel.trim_memory()
    try:
        loop.run()
    finally:
        agent.close()
    return code


def _on(number: signal.Signals, callback: Callable[[], None]) -> None:
    signal.signal(number, lambda *_: callback())


def _say(line: str) -> None:
    sys.stderr.write(f"holdfast: {line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
