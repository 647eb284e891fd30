"""`holdfast run`: becomes the agent, without the command line library in its memory."""

import os
import sys
from pathlib import Path

import click

from agent.config import DEFAULT_PATH


@click.command()
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    default=DEFAULT_PATH,
    envvar="HOLDFAST_CONFIG",
    show_default=True,
    help="The configuration file; the folder beside it with the suffix .d is read too.",
)
@click.option(
    "--state-dir", type=click.Path(path_type=Path), help="Where to keep the state, whatever the configuration says."
)
@click.option(
    "--runtime-dir", type=click.Path(path_type=Path), help="Where to put the sockets, whatever the configuration says."
)
def run(config: Path, state_dir: Path | None, runtime_dir: Path | None) -> None:
    """Run the agent in the foreground until Ctrl-C. SIGHUP loads the configuration anew."""
    words = ["-c", str(config.absolute())]
    for name, folder in (("--state-dir", state_dir), ("--runtime-dir", runtime_dir)):
        if folder is not None:
            words += [name, str(folder.absolute())]
    # One arena: the core has few threads, and each further arena would cost memory.
    environment = {**os.environ, "MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX", "1")}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-P", "-m", "agent.daemon", *words], environment)
