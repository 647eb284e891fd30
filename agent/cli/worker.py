"""`holdfast worker NAME`: becomes the worker process, without the command line library in its memory."""

import os
import sys

import click


@click.command("worker", hidden=True)
@click.argument("name")
def worker(name: str) -> None:
    """Run one worker of the agent (internal: started by systemd or by `holdfast run`)."""
    # The process stays the same, so the socket handed to it (LISTEN_PID) stays its own.
    os.execv(sys.executable, [sys.executable, "-I", "-m", "agent.worker_main", name])
