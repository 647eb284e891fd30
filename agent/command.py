"""The `holdfast` command: finds its subcommands by entry point and imports one only when it is called.

The tables behind the entry points (`agent/cli/commands.py`, `console/cli/commands.py`) map a name to `("module:attribute", "one line of
help")`; without help a command is hidden. Only this distribution's own entry points count, and they are read from its metadata file
directly: `importlib.metadata` would look through every installed package and cost `holdfast status` a third of the time it has.
"""

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contracts.errors import HoldfastError, UsageError
from contracts.text import escape
from settings.errors import ConfigErrors, nearest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

GROUP = "holdfast.commands"
COMPLETION = "_HOLDFAST_COMPLETE"
INTERRUPTED = 130
BROKEN_PIPE = 141
IO_ERROR = 74

Table = Mapping[str, tuple[str, str]]


class NotInstalled(HoldfastError):
    """A command needs something that this installation does not have."""

    exit_code = 69  # EX_UNAVAILABLE


def main() -> None:
    """Run the command line and exit with the code that `docs/reference/exit-codes.md` lists."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; what goes wrong is one clear line on standard error."""
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
        return code
    except HoldfastError as error:
        return _complain(str(error), error.exit_code, prefix="" if isinstance(error, ConfigErrors) else "holdfast: ")
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt, EOFError):
        click.echo(err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output went away (`| head`); nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        what = f"{escape(os.fsencode(error.filename))}: " if isinstance(error.filename, (str, bytes)) else ""
        return _complain(f"{what}{(error.strerror or str(error)).lower()}", IO_ERROR)


def _invoke(arguments: list[str]) -> int:
    group = root()
    if COMPLETION in os.environ:
        group.main(prog_name="holdfast")
    # Not click's own main: that would end the process by itself on a broken pipe, with the code of a failed check.
    try:
        with group.make_context("holdfast", list(arguments)) as context:
            result = group.invoke(context)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    return result if type(result) is int else 0


def _complain(message: str, code: int, prefix: str = "holdfast: ") -> int:
    click.echo(f"{prefix}{message}", err=True)
    return code


class Commands(click.Group):
    """A group whose commands are known by name and help, and imported when one is called."""

    def __init__(self, tables: Mapping[str, Table], **attributes: Any) -> None:
        super().__init__(**attributes)
        self._entries = {
            name: (extra, *entry) for extra, table in reversed(list(tables.items())) for name, entry in table.items()
        }

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands that are not hidden."""
        return sorted(name for name, (_, _, line) in self._entries.items() if line)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return a command."""
        if cmd_name not in self._entries:
            return None
        extra, target, _ = self._entries[cmd_name]
        return _load(cmd_name, target, extra)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that `args` name; raises `UsageError` with the nearest one there is."""
        if args[0] not in self._entries and not args[0].startswith("-"):
            hint = nearest(args[0], self.list_commands(ctx)) or "; `holdfast --help` lists the commands"
            raise UsageError(f'there is no command "{args[0]}"{hint}')
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Return what may follow, without importing any command."""
        from click.shell_completion import CompletionItem

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        options = super(click.Group, self).shell_complete(ctx, incomplete) if incomplete.startswith("-") else []
        return [CompletionItem(name, help=self._entries[name][2]) for name in names] + options

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._entries[name][2]) for name in self.list_commands(ctx)])


def root() -> Commands:
    """Return the whole command line."""
    version = click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_version,
        help="Show the version and exit.",
    )
    return Commands(
        tables(),
        name="holdfast",
        help="The security-operations agent of this server, and its console.",
        params=[version],
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )


def tables() -> dict[str, Table]:
    """Return the command tables by the name of their entry point; a part that is not installed is left out."""
    found: dict[str, Table] = {}
    for name, target in entry_points():
        module, _, attribute = target.partition(":")
        try:
            found[name] = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if not f"{module}.".startswith(f"{error.name}."):
                raise
    return found


def entry_points() -> Iterator[tuple[str, str]]:
    """Yield name and target of this distribution's entry points for commands."""
    for line in _section_lines(_metadata()):
        name, _, target = line.partition("=")
        yield name.strip(), target.strip()


def _metadata() -> str:
    """Return our own `entry_points.txt`: from the dist-info beside the package, or where Python looks when a checkout was installed."""
    for place in dict.fromkeys([str(Path(__file__).resolve().parent.parent), *sys.path]):
        try:
            names = sorted(os.listdir(place or "."))  # noqa: PTH208  # names alone, as fast as can be
        except OSError:
            continue
        for name in names:
            if name == "holdfast.egg-info" or (name.startswith("holdfast-") and name.endswith(".dist-info")):
                try:
                    return Path(place, name, "entry_points.txt").read_text()
                except OSError:
                    continue
    from importlib import metadata

    text = metadata.distribution("holdfast").read_text("entry_points.txt")
    return text or ""


def _section_lines(text: str) -> Iterator[str]:
    inside = False
    for line in text.splitlines():
        if line.startswith("["):
            inside = line.strip() == f"[{GROUP}]"
        elif inside and "=" in line:
            yield line


def _load(name: str, target: str, extra: str) -> click.Command:
    module, _, attribute = target.partition(":")
    try:
        command: click.Command = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing == module:
            raise NotInstalled(
                f"the command {name} is not part of this installation", advice="install holdfast again"
            ) from error
        what = "holdfast[console]" if extra == "console" else "holdfast again, with its dependencies"
        raise NotInstalled(f"{name} needs {missing}, which is not installed here", advice=f"install {what}") from error
    return command


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from importlib import metadata

        click.echo(f"holdfast {metadata.version('holdfast')}")
        context.exit()
