"""What the agent is to do: the configuration, resolved against the catalogs, as the core needs it.

Making it imports the YAML parser and every collector's settings; so a child process makes it (`agent.plan_child`) and passes on only
this, and the core stays small.
"""

import subprocess
import sys
from pathlib import Path

import msgspec

from agent.responder import Deed
from agent.settings import AgentSettings
from agent.supervision import WorkerSpec
from agent.timed import Timed
from contracts.codec import UNDECODABLE
from contracts.errors import HoldfastError
from contracts.event import Kind
from contracts.host import Facts
from contracts.record import Record
from contracts.subjects.backup import BackupJob
from settings.errors import ConfigError, ConfigErrors

CHILD_TIMEOUT_S = 60.0


class Plan(Record):
    """The agent's settings without the sections of collectors and actions, and what those come to.

    `looks` maps each subject to its interval in seconds, `watchers` each watcher to its subject; `disabled` are the collectors that the
    configuration switches off. `timed` are the deeds with a time of day, `backups` the backup jobs as configured,
    `antivirus_proof_s` how long a proof of detection counts (0: none is asked for). `kinds` are all kinds that any part of the agent
    declares. `digest` differs when any setting does.
    """

    settings: AgentSettings
    digest: str
    workers: tuple[WorkerSpec, ...]
    looks: dict[str, float]
    watchers: dict[str, str]
    disabled: tuple[str, ...]
    deeds: dict[str, Deed]
    kinds: dict[str, Kind]
    facts: Facts
    timed: dict[str, Timed] = {}
    backups: tuple[BackupJob, ...] = ()
    antivirus_proof_s: float = 0.0
    version: str = ""
    files: tuple[str, ...] = ()


class Answer(Record):
    """What the child writes to its standard output as MessagePack."""

    plan: Plan | None = None
    errors: tuple[ConfigError, ...] = ()


class PlannerFailed(HoldfastError):
    """The child that reads the configuration broke; the configuration itself may be fine."""

    permanent = False
    exit_code = 70  # EX_SOFTWARE


def make(path: Path, timeout_s: float = CHILD_TIMEOUT_S) -> Plan:
    """Return the plan for the configuration in `path`, made by a child process; raises `ConfigErrors` or `PlannerFailed`."""
    argv = [sys.executable, "-P", "-m", "agent.plan_child", str(path)]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        advice = "try again when the machine is less busy"
        raise PlannerFailed(f"reading {path} took longer than {timeout_s:g} s", advice=advice) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise PlannerFailed(
            f"the reader of {path} cannot be started: {reason}", advice="check the installation"
        ) from error
    return decode(done.stdout, done.stderr)


def decode(stdout: bytes, stderr: bytes) -> Plan:
    """Return the plan in a child's answer; raises `ConfigErrors` or `PlannerFailed`."""
    last = stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    try:
        answer = msgspec.msgpack.decode(stdout, type=Answer)
    except UNDECODABLE as error:
        why = last or str(error)
        raise PlannerFailed(
            f"the reader of the configuration broke: {why}", advice="run `holdfast check-config`"
        ) from error
    if answer.errors:
        raise ConfigErrors(answer.errors)
    if answer.plan is None:
        raise PlannerFailed("the reader of the configuration gave no answer", advice="run `holdfast check-config`")
    return answer.plan


def signature(path: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Return what tells whether the files of the configuration in `path` are still those that were read."""
    found = []
    for file in (path, *sorted(path.with_suffix(".d").glob("*.yaml"))):
        try:
            status = file.stat()
        except OSError:
            continue
        found.append((str(file), status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)
