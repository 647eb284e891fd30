"""How a command finds the running agent: the options for its control socket, and what a configuration says of that."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

DEFAULT_SOCKET = Path("/run/holdfast/control.sock")
DEFAULT_RUNTIME = "/run/holdfast"


def agent_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--socket` and `--config`; it is called with `path`, the control socket."""

    @functools.wraps(command)
    def found(config: Path | None, socket: Path | None, **rest: Any) -> Any:
        path = socket or (control_socket(config) if config is not None else DEFAULT_SOCKET)
        return command(path=path, **rest)

    by_file = click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path),
        help="Configuration of the agent to ask, instead of --socket.",
    )
    by_socket = click.option(
        "--socket",
        type=click.Path(path_type=Path),
        envvar="HOLDFAST_CONTROL",
        help=f"The agent's control socket.  [default: {DEFAULT_SOCKET}]",
    )
    return by_file(by_socket(found))


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--json`; it is called with `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON.")(command)


def control_socket(config: Path) -> Path:
    """Return the control socket of the agent with this configuration; raises `ConfigErrors` for a file that does not read.

    Only the two settings that say so are read, so that a file with a mistake elsewhere still leads to the running agent.
    """
    from settings import yaml
    from settings.errors import ConfigError, ConfigErrors
    from settings.tree import Mapping, Mark, Node, Scalar, merge

    root: Node = Mapping({}, Mark(str(config), 1, 1))
    for file in (config, *sorted(config.with_suffix(".d").glob("*.yaml"))):
        try:
            root = merge(root, yaml.read(file))
        except OSError as error:
            message = f"cannot be read: {(error.strerror or str(error)).lower()}"
            raise ConfigErrors([ConfigError(file=str(file), line=1, column=1, path="", message=message)]) from error

    def text(section: str, name: str) -> str:
        inside = root.entries.get(section) if isinstance(root, Mapping) else None
        value = inside.entries.get(name) if isinstance(inside, Mapping) else None
        return value.text if isinstance(value, Scalar) and not value.empty else ""

    chosen = text("control", "socket")
    return Path(chosen) if chosen else Path(text("directories", "runtime") or DEFAULT_RUNTIME) / "control.sock"
