"""`holdfast enroll`: enrol this agent at a console with a one-time token."""

import sys
from importlib.metadata import version
from pathlib import Path

import click

from agent.cli.text import to_json
from contracts.errors import UsageError

_MAX_TOKEN = 4096


@click.command()
@click.argument("url")
@click.option(
    "--token", help="The one-time token; visible to other users while the command runs, so prefer --token-file."
)
@click.option(
    "--token-file", type=click.Path(path_type=Path), help="File that holds the token; - reads standard input."
)
@click.option("-c", "--config", type=click.Path(path_type=Path), help="The agent's configuration.")
@click.option("--state", type=click.Path(path_type=Path), help="The agent's state directory; else as configured.")
@click.option("--new-identity", is_flag=True, help="Enrol as a new agent: for a cloned machine, or after a revocation.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def enroll(
    url: str,
    token: str | None,
    token_file: Path | None,
    config: Path | None,
    state: Path | None,
    new_identity: bool,
    as_json: bool,
) -> None:
    """Enrol this agent at the console at URL (https://HOST:PORT, its port for agents).

    The token names the console's authority; it is sent to no other server. Repeating the command with the same token does no harm.
    Exit codes: 0 enrolled, 2 wrong words or not a token, 69 console not reachable, 77 refused or not the console that made the token.
    """
    from agent import plan
    from agent.clock import SystemClock
    from agent.config import DEFAULT_PATH
    from agent.enrolment import Input, enrol, pin_of
    from agent.identity import Identity
    from agent.transport import address

    secret = _token(token, token_file)
    address(url)
    pin_of(secret)
    made = plan.make((config or DEFAULT_PATH).absolute())
    directory = _state_directory(state or Path(made.settings.directories.state))
    clock = SystemClock()
    identity = Identity(directory, clock)
    if new_identity:
        identity.begin_anew()
    asked = Input(url=url, token=secret, facts=made.facts, version=version("holdfast"))
    enrolment = enrol(identity, asked, clock)
    if as_json:
        click.echo(
            to_json({"agent": enrolment.agent, "url": enrolment.url, "renew_after_ms": enrolment.renew_after_ms})
        )
    else:
        click.echo(f"enrolled at {enrolment.url} as agent {enrolment.agent}")
        click.echo(
            "an agent that runs never blocks this console from its next reload on: systemctl reload holdfast-agent"
        )


def _token(token: str | None, file: Path | None) -> str:
    """Return the token from wherever it was given; raises `UsageError`."""
    if (token is None) == (file is None):
        raise UsageError("give the token once", advice="use --token T, or --token-file FILE (- for standard input)")
    if token is not None:
        return token.strip()
    assert file is not None
    if str(file) == "-":
        return sys.stdin.read(_MAX_TOKEN).strip()
    try:
        with file.open("r", encoding="ascii", errors="replace") as source:
            return source.read(_MAX_TOKEN).strip()
    except OSError as error:
        raise UsageError(
            f"{file}: {(error.strerror or str(error)).lower()}", advice="check the path of the token file"
        ) from error


def _state_directory(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            f"{path}: {reason}", advice="run this as root or as the agent's user, or give --state"
        ) from error
    return path
