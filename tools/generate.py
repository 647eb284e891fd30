"""Write every file that is made from the code: samples, reference pages, manual pages, shell completions.

`--check` writes nothing and exits 1 when one differs from what the code makes; a test calls it so.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import manpage  # noqa: E402

from agent import command, generate, wiring  # noqa: E402
from console.settings import ConsoleSettings  # noqa: E402
from settings.reference import reference  # noqa: E402
from settings.sample import sample  # noqa: E402
from settings.schema import schema  # noqa: E402

DATE = "2026-11-21"
"""On the manual pages; a fixed date, so that the files do not change by themselves."""

FILES = (
    "/etc/holdfast/agent.yaml, /etc/holdfast/agent.d/*.yaml: the agent's settings. Secrets stand there only by reference.",
    "/etc/holdfast/console.yaml: the console's settings.",
    "/var/lib/holdfast/agent: spool, snapshots, ledger and identity of the agent; its user alone may enter.",
    "/var/lib/holdfast/console: database, certificate authority and TLS keys of the console; its user alone may enter.",
    "/run/holdfast: the control socket and the workers' sockets.",
)

_CONSOLE_INTRO = (
    "What `/etc/holdfast/console.yaml` and the files in `/etc/holdfast/console.d` may hold. `holdfast console config check` says what is "
    "wrong. Written from the settings by `make generate`."
)


def version() -> str:
    """Return the version that setup.cfg names."""
    lines = (ROOT / "setup.cfg").read_text().splitlines()
    return next(line.partition("=")[2].strip() for line in lines if line.startswith("version"))


def console_files() -> dict[str, str]:
    """Return the files that the console's settings make."""
    import json

    return {
        "etc/console.yaml": sample(ConsoleSettings, "Settings of the Holdfast console.", "console"),
        "docs/reference/console-settings.md": reference(ConsoleSettings, "Settings of the console", _CONSOLE_INTRO),
        "docs/reference/console-settings.schema.json": json.dumps(
            schema(ConsoleSettings, "Holdfast console.yaml"), indent=2, ensure_ascii=False
        )
        + "\n",
    }


def manual_pages(references: dict[str, str]) -> dict[str, str]:
    """Return the manual pages: the commands in section 8, the files in section 5."""
    group = command.root()
    context = click.Context(group, info_name="holdfast")
    agent = [name for name in group.list_commands(context) if name != "console"]
    pages = {
        "docs/man/holdfast.8": _commands_page("holdfast", "security-operations agent that proves what it says", agent),
        "docs/man/holdfast-console.8": _commands_page(
            "holdfast-console", "console of the Holdfast agents", ["console"]
        ),
    }
    for name in ("agent", "console"):
        text = references[f"docs/reference/{name}-settings.md"]
        title = manpage.heading(f"holdfast-{name}.yaml", 5, DATE, version())
        lines = [title, ".SH NAME", f"holdfast\\-{name}.yaml \\- settings of the Holdfast {name}", ".SH DESCRIPTION"]
        pages[f"docs/man/holdfast-{name}.yaml.5"] = "\n".join([*lines, *manpage.markdown(text)]) + "\n"
    return pages


def _commands_page(name: str, what: str, names: list[str]) -> str:
    group = command.root()
    context = click.Context(group, info_name="holdfast")
    lines = [
        manpage.heading(name, 8, DATE, version()),
        ".SH NAME",
        f"{manpage.escape(name)} \\- {manpage.escape(what)}",
        ".SH SYNOPSIS",
        f"\\fB{'holdfast console' if name.endswith('console') else 'holdfast'}\\fR COMMAND [OPTIONS]",
        ".SH COMMANDS",
    ]
    for each in names:
        below = group.get_command(context, each)
        if below is not None and not below.hidden:
            lines += manpage.commands(below, click.Context(below, info_name=each, parent=context))
    lines += [".SH EXIT STATUS", *manpage.markdown(_exit_codes()), ".SH FILES"]
    for entry in FILES:
        path, _, meaning = entry.partition(": ")
        lines += [".TP", f"\\fI{manpage.escape(path)}\\fR", manpage.escape(meaning)]
    lines += [
        ".SH SEE ALSO",
        "\\fBholdfast\\fR(8), \\fBholdfast-console\\fR(8), \\fBholdfast-agent.yaml\\fR(5), \\fBholdfast-console.yaml\\fR(5)",
    ]
    return "\n".join(lines) + "\n"


def _exit_codes() -> str:
    """Return the reference page of exit codes without its title."""
    return "\n".join((ROOT / "docs" / "reference" / "exit-codes.md").read_text().splitlines()[1:])


def completions() -> dict[str, str]:
    """Return the completion scripts that click writes for each shell."""
    names = {"bash": "holdfast.bash", "zsh": "_holdfast", "fish": "holdfast.fish"}
    found = {}
    for shell, name in names.items():
        done = subprocess.run(
            [sys.executable, "-c", "import sys; sys.argv[0] = 'holdfast'; from agent.command import main; main()"],
            env={**os.environ, "_HOLDFAST_COMPLETE": f"{shell}_source"},
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        if not done.stdout.strip():
            raise SystemExit(f"no completion for {shell}: {done.stderr}")
        found[f"docs/completions/{name}"] = "\n".join(line.rstrip() for line in done.stdout.strip().splitlines()) + "\n"
    return found


def main() -> int:
    """Write, or with `--check` compare."""
    parser = argparse.ArgumentParser(description="Write the files that are made from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file differs")
    arguments = parser.parse_args()
    files = {**generate.agent_files(wiring.vocabulary()), **console_files()}
    files |= manual_pages(files) | completions()
    if arguments.check:
        differing = generate.stale(files, ROOT)
        for path in differing:
            print(f"{path} is not what the code makes; run: make generate", file=sys.stderr)
        return 1 if differing else 0
    for path in generate.write(files, ROOT):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
