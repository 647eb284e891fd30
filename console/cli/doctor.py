"""`holdfast console doctor`: check what the console needs, and say how to fix what is missing."""

import datetime as dt
import os
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from console.authority import Authority
from console.cli.options import become_owner, config_options, json_option, read_settings, show_json
from console.listening import listen
from console.parts import AUTHORITY, DATABASE
from console.settings import ConsoleSettings, split_address
from console.store.engine import open_engines
from contracts.errors import HoldfastError
from contracts.record import Record

MIN_FILES = 4096
MIN_FREE = 1 << 30
SOON = dt.timedelta(days=365)


class Check(Record):
    """One thing that was checked; `fix` is one imperative sentence when it is not well."""

    name: str
    ok: bool
    found: str
    fix: str = ""


@click.command()
@config_options
@json_option
def doctor(path: Path | None, state_dir: Path | None, as_json: bool) -> int:
    """Check every precondition and say how to fix what fails; exit code 1 if anything does."""
    settings = read_settings(path, state_dir)
    become_owner(Path(settings.state))
    checks = list(examine(settings))
    if as_json:
        show_json(checks)
    else:
        for check in checks:
            click.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.found}")
            if check.fix:
                click.echo(f"      {check.fix}")
    return 0 if all(check.ok for check in checks) else 1


def examine(settings: ConsoleSettings) -> Iterator[Check]:
    """Yield what was checked."""
    state = Path(settings.state)
    yield _state(state)
    yield _attempt("authority", lambda: _authority(state / AUTHORITY))
    yield _attempt("database", lambda: _database(state / DATABASE))
    yield _listener("people", settings.people.listen)
    yield _listener("agents", settings.agents.listen)
    yield _files(settings)


def _attempt(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name=name, ok=True, found=look())
    except HoldfastError as error:
        return Check(name=name, ok=False, found=error.message, fix=error.advice)


def _state(state: Path) -> Check:
    if not state.is_dir() or not os.access(state, os.W_OK | os.X_OK):
        fix = "start the console once, or make the directory writable by this user"
        return Check(name="state", ok=False, found=f"{state} is not there or not writable", fix=fix)
    space = os.statvfs(state)
    free = space.f_bavail * space.f_frsize
    found = f"{state}, {free >> 20} MiB free"
    return Check(
        name="state", ok=free >= MIN_FREE, found=found, fix="" if free >= MIN_FREE else "make room on the disk"
    )


def _authority(folder: Path) -> str:
    newest = Authority.load(folder).show()[0]
    ends = dt.datetime.fromtimestamp(newest.ends_ms / 1000, dt.UTC)
    if ends - dt.datetime.now(dt.UTC) < SOON:
        raise HoldfastError(
            f"generation {newest.number} ends on {ends:%Y-%m-%d}", advice="run holdfast console ca renew"
        )
    return f"generation {newest.number}, until {ends:%Y-%m-%d}"


def _database(path: Path) -> str:
    if not path.exists():
        raise HoldfastError(f"{path} is not there", advice="start the console once")
    for engine in open_engines(path):
        engine.dispose()
    return f"{path}, {path.stat().st_size >> 10} KiB"


def _listener(what: str, address: str) -> Check:
    """A running console holds its ports; then it must answer, otherwise they must be free."""
    host, port = split_address(address)
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    try:
        with socket.create_connection((target, port), timeout=2):
            return Check(name=f"listener for {what}", ok=True, found=f"{address} answers")
    except OSError:
        pass  # nobody answers: is it free, then?
    try:
        listen(address, what).close()
    except HoldfastError as error:
        return Check(name=f"listener for {what}", ok=False, found=error.message, fix=error.advice)
    return Check(name=f"listener for {what}", ok=True, found=f"{address} is free")


def _files(settings: ConsoleSettings) -> Check:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    ok = soft >= MIN_FILES
    fix = "" if ok else "raise LimitNOFILE of the service, or ulimit -n"
    found = f"{soft} may be open at once, {settings.agents.max_connections} connections are allowed"
    return Check(name="open files", ok=ok, found=found, fix=fix)
