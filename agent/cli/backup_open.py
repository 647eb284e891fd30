"""How the commands of `holdfast backup` find a repository: by a job of the configuration, or by place and password where none is left."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.text import plain
from agent.config import DEFAULT_PATH, load_agent
from contracts.errors import HoldfastError, UsageError

if TYPE_CHECKING:
    from agent.wiring import Desk

config_option = click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    default=DEFAULT_PATH,
    envvar="HOLDFAST_CONFIG",
    show_default=True,
    help="The configuration file that names the jobs.",
)
job_option = click.option(
    "-j", "--job", default="", help="The job whose repository is meant; the only one when not given."
)


def repository_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which repository is meant; it is called with `desk`, the opened one."""

    @functools.wraps(command)
    def opened(config: Path, job: str, repo: str, password_file: Path | None, lock_wait: float, **rest: Any) -> Any:
        desk = open_desk(config, job, repo, password_file)
        desk.wait_s = lock_wait
        passed: dict[str, HoldfastError] = {}

        def pass_over(error: HoldfastError) -> None:
            if passed.setdefault(str(error), error) is error:
                more = "passed over: damaged, or put there by somebody else"
                click.secho(f"{plain(str(error))}; {more}", fg="red", err=True)

        desk.passed_over = pass_over
        return command(desk=desk, **rest) or int(bool(passed))

    for option in (
        config_option,
        job_option,
        click.option(
            "--lock-wait", default=0.0, help="Seconds to wait for a lock that another holds.  [default: 0]", metavar="S"
        ),
        click.option(
            "-r",
            "--repo",
            default="",
            envvar="RESTIC_REPOSITORY",
            help="The repository itself, for a host without a configuration.",
        ),
        click.option(
            "-p",
            "--password-file",
            type=click.Path(path_type=Path),
            envvar="RESTIC_PASSWORD_FILE",
            help="File with its password; else RESTIC_PASSWORD, else it is asked for.",
        ),
    ):
        opened = option(opened)
    return opened


def snapshot_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options by which snapshots are chosen; it is called with `chosen`, what they say."""

    @functools.wraps(command)
    def found(hosts: tuple[str, ...], tags: tuple[str, ...], saved: tuple[str, ...], **rest: Any) -> Any:
        from agent import wiring

        return command(chosen=wiring.backup_desk().selection(hosts, tags, saved), **rest)

    for option in (
        click.option("--host", "hosts", multiple=True, help="Only snapshots of this host; may be repeated."),
        click.option("--tag", "tags", multiple=True, help="Only with this tag (a,b: with both); may be repeated."),
        click.option("--saved-path", "saved", multiple=True, help="Only snapshots of this path; may be repeated."),
    ):
        found = option(found)
    return found


def open_desk(config: Path, job: str, repo: str, password_file: Path | None) -> "Desk":
    """The repository that is meant, opened; what goes wrong carries restic's exit code."""
    from agent import wiring

    desk = wiring.backup_desk()
    if repo and job:
        raise UsageError("--job and --repo exclude each other", advice="give one of them")
    if repo:
        return desk.open(repo, given_password(password_file))
    name, options = desk.chosen(job_options(config), job)
    if password_file is not None or "RESTIC_PASSWORD" in os.environ:
        password = given_password(password_file)
    else:
        password = desk.password_of(name, options, wiring.host().files)
    opened = desk.open(options.repository, password, options)
    opened.job, opened.config, opened.options = name, config, options
    return opened


def job_options(config: Path) -> Any:
    """The `backup` section of the configuration; ConfigErrors."""
    from agent import wiring

    return getattr(load_agent(config, wiring.vocabulary()).value, "backup")  # noqa: B009  # composed, so not known to mypy


def given_password(file: Path | None, prompt: str = "Password of the repository") -> str:
    """A password from a file, the environment, or the terminal."""
    if file is not None:
        try:
            password = file.read_text(encoding="utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{plain(str(file))} does not hold a password: it is not UTF-8",
                advice="name the file with the password",
            ) from error
    elif "RESTIC_PASSWORD" in os.environ:
        password = os.environ["RESTIC_PASSWORD"]
    elif sys.stdin.isatty():
        password = click.prompt(prompt, hide_input=True, err=True)
    else:
        raise UsageError("no password is given", advice="give --password-file, or set RESTIC_PASSWORD_FILE")
    if not password:
        raise UsageError("the password is empty", advice="give the password of one of the repository's keys")
    return str(password)
