"""Checks each precondition of the agent and says the fix for every one that fails: the checks of the agent itself, and all in order."""

import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent import config, control, diagnosis, privileges, transport
from agent.diagnosis import Check
from agent.identity import Credentials, Identity, IdentityBroken
from agent.settings import AgentSettings, Vocabulary
from contracts.errors import HoldfastError
from settings.errors import ConfigErrors

UNIT = Path("/etc/systemd/system/holdfast-agent.service")
UNITS = (
    UNIT,
    Path("/usr/lib/systemd/system/holdfast-agent.service"),
    Path("/lib/systemd/system/holdfast-agent.service"),
)
MAX_SKEW_S = 60.0
RENEWAL_GRACE_S = 7 * 86400.0
PROBE_TIMEOUT_S = 5.0
CORE_USER = "holdfast"
_AS_ROOT = "run the agent as root (it gives up what it does not need), or install it: make install"
_MENDABLE = {"tool_missing", "permission", "timeout", "worker_down", "malformed"}
"""Reasons for a blind spot that a correct installation does not have; the others are limits of the machine and noted."""


def everything(path: Path, vocabulary: Vocabulary, units: tuple[Path, ...] = UNITS) -> Iterator[Check]:
    """Yield every check of the agent whose configuration is in `path`; what a check rests on comes before it."""
    installed = path == config.DEFAULT_PATH and any(unit.exists() for unit in units)
    try:
        loaded = config.load_agent(path, vocabulary)
    except ConfigErrors as error:
        for item in error.items:
            yield Check(
                name=f"configuration {path}",
                state="failed",
                found=str(item),
                fix="correct that line, then: holdfast check-config",
            )
        settings: AgentSettings = vocabulary.settings()
    else:
        yield Check(name=f"configuration {path}", state="ok", found=f"{len(loaded.files)} files, nothing wrong")
        settings = loaded.value
    yield from diagnosis.users(
        [CORE_USER, *(worker.user for worker in privileges.WORKERS.values())], [settings.control.group], installed
    )
    yield from folders(settings, CORE_USER if installed else "")
    if installed:
        workers = Path(settings.directories.runtime) / "workers"
        yield from diagnosis.listening(workers, privileges.WORKERS)
        yield from diagnosis.sockets(workers, CORE_USER)
    yield diagnosis.disk(Path(settings.directories.state), settings.spool.max_size)
    yield from diagnosis.tools()
    yield from diagnosis.kernel()
    needed = {name: worker.capabilities for name, worker in privileges.WORKERS.items() if worker.capabilities}
    yield from diagnosis.bounding(needed, privileges.held().bounding)
    yield diagnosis.time_sync()
    answers = Running(settings, installed)
    yield answers.check
    yield from answers.configuration()
    yield from answers.workers()
    yield from answers.outputs()
    yield from answers.sights()
    yield from console(settings, answers.status)


def folders(settings: AgentSettings, owner: str) -> Iterator[Check]:
    """Check the agent's folders."""
    yield diagnosis.folder("state folder", Path(settings.directories.state), private=True, owner=owner)
    yield diagnosis.folder("runtime folder", Path(settings.directories.runtime), private=False)
    if settings.outputs.ndjson.enabled:
        yield diagnosis.folder(
            "folder of events.ndjson", Path(settings.outputs.ndjson.path).parent, private=False, owner=owner
        )


class Running:
    """What the running agent says; `status` and `coverage` are None when it does not answer."""

    def __init__(self, settings: AgentSettings, installed: bool = True) -> None:
        self._installed = installed
        self.status: Mapping[str, Any] | None = None
        self.coverage: Mapping[str, Any] | None = None
        path = settings.control_socket
        try:
            self.status = control.ask(path, "status", timeout_s=PROBE_TIMEOUT_S)
            self.coverage = control.ask(path, "coverage", timeout_s=PROBE_TIMEOUT_S)
        except HoldfastError as error:
            fix = error.advice or "run: systemctl start holdfast-agent"
            self.check = Check(name=f"agent at {path}", state="failed", found=error.message, fix=fix)
        else:
            self.check = Check(
                name=f"agent at {path}", state="ok", found=f"answers, version {(self.status or {}).get('version', '?')}"
            )

    def configuration(self) -> Iterator[Check]:
        """Check that the agent follows the configuration as it is on disk."""
        said = (self.status or {}).get("config") or {}
        if said.get("refused"):
            found = "the agent keeps a former configuration: the one on disk was refused"
            yield Check(name="configuration in use", state="failed", found=found, fix="run: holdfast check-config")
        elif said.get("pending"):
            pid = (self.status or {}).get("pid", "PID")
            fix = "run: systemctl reload holdfast-agent" if self._installed else f"run: kill -HUP {pid}"
            yield Check(
                name="configuration in use", state="noted", found="was changed since the agent read it", fix=fix
            )

    def outputs(self) -> Iterator[Check]:
        """Check that the outputs besides the console take what they are given."""
        for output in (self.status or {}).get("outputs") or []:
            name = f"output {output.get('name')}"
            if output.get("problem"):
                fix = "mend that; the events are still sent to the console"
                yield Check(name=name, state="failed", found=str(output["problem"]), fix=fix)
            else:
                yield Check(name=name, state="ok", found=f"{output.get('written', 0)} events written")

    def workers(self) -> Iterator[Check]:
        """Check that each worker runs, with the capabilities it needs."""
        for worker in (self.status or {}).get("workers", []):
            name, state, pid = str(worker.get("name")), str(worker.get("state")), int(worker.get("pid") or 0)
            if state not in {"running", "idle"}:
                found = f"is {state.replace('_', ' ')}: {worker.get('detail') or 'no reason given'}"
                fix = (
                    f"look at it with: journalctl -u holdfast-{name}" if self._installed else "look at the agent's log"
                )
                yield Check(name=f"worker {name}", state="failed", found=found, fix=fix)
                continue
            missing = _missing(name, pid)
            if missing:
                unit = f"remove what takes {', '.join(missing)} from holdfast-{name}.service"
                fix = unit if self._installed else _AS_ROOT
                yield Check(name=f"worker {name}", state="failed", found=f"runs without {', '.join(missing)}", fix=fix)
            else:
                yield Check(name=f"worker {name}", state="ok", found=f"is {state}")

    def sights(self) -> Iterator[Check]:
        """Check that every subject is wholly seen."""
        for sight in (self.coverage or {}).get("sights", []):
            name = f"view of {sight.get('subject')}"
            blind = sight.get("blind") or []
            if sight.get("state") == "seen":
                yield Check(name=name, state="ok", found="wholly seen")
            for spot in blind:
                found = f"cannot see {spot.get('what')}: {spot.get('detail') or spot.get('why')}"
                failed = spot.get("why") in _MENDABLE or (
                    sight.get("state") == "unseen" and spot.get("why") != "disabled"
                )
                fix = str(spot.get("fix") or "run: holdfast coverage")
                yield Check(name=name, state="failed" if failed else "noted", found=found, fix=fix)
            if sight.get("state") != "seen" and not blind:
                yield Check(
                    name=name,
                    state="noted",
                    found=f"is {sight.get('state')}",
                    fix="wait for the first look, then try again",
                )


def console(settings: AgentSettings, status: Mapping[str, Any] | None) -> Iterator[Check]:
    """Check the enrolment, the way to the console and both clocks."""
    try:
        credentials = _credentials(Path(settings.directories.state))
    except (IdentityBroken, PermissionError) as error:
        fix = getattr(error, "advice", "") or "run as root"
        yield Check(
            name="enrolment",
            state="failed",
            found=str(getattr(error, "message", "may not be read by this user")),
            fix=fix,
        )
        return
    if credentials is None:
        fix = "run: holdfast enroll URL --token TOKEN (the console shows both)"
        yield Check(name="enrolment", state="noted", found="this agent reports to no console", fix=fix)
        return
    yield _certificate(credentials, time.time())
    yield reach(credentials)
    yield from _reports((status or {}).get("console"))


def reach(credentials: Credentials, timeout_s: float = PROBE_TIMEOUT_S) -> Check:
    """Check that a TLS connection to the console can be made, trusting only the authority pinned at enrolment."""
    url = credentials.enrolment.url
    name = f"console {url}"
    try:
        authority = Path(credentials.authority).read_text()
        tls = transport.context(authority, credentials.certificate, credentials.key)
        host, port = transport.address(url)
        _handshake(host, port, tls, timeout_s)
    except ssl.SSLCertVerificationError as error:
        fix = "if the console's authority was made anew, enrol again; if not, somebody else answers there"
        return Check(
            name=name, state="failed", found=f"its certificate is not the pinned one: {error.verify_message}", fix=fix
        )
    except ssl.SSLError as error:
        return Check(
            name=name,
            state="failed",
            found=f"TLS failed: {error.reason or error}",
            fix="check that this is the agents' port of a console",
        )
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        fix = "check the address, the firewall between, and that the console runs"
        return Check(name=name, state="failed", found=f"cannot be reached: {reason}", fix=fix)
    except HoldfastError as error:
        return Check(name=name, state="failed", found=error.message, fix=error.advice or "enrol this agent again")
    return Check(name=name, state="ok", found="answers with the pinned authority")


def _handshake(host: str, port: int, tls: ssl.SSLContext, timeout_s: float) -> None:
    import socket

    with socket.create_connection((host, port), timeout_s) as raw, tls.wrap_socket(raw, server_hostname=host):
        pass


def _credentials(state: Path) -> Credentials | None:
    """Return the identity in `state` without making one: diagnosing changes nothing."""
    if not (state / "agent-id").exists():
        return None
    from agent.clock import SystemClock

    return Identity(state, SystemClock()).credentials()


def _certificate(credentials: Credentials, now_s: float) -> Check:
    late_s = now_s - credentials.enrolment.renew_after_ms / 1000
    if late_s > RENEWAL_GRACE_S:
        found = f"should have been renewed {late_s / 86400:.0f} days ago"
        return Check(
            name="certificate",
            state="failed",
            found=found,
            fix="make the console reachable; if it has expired, enrol again",
        )
    return Check(name="certificate", state="ok", found=f"of agent {credentials.enrolment.agent}, renewed in time")


def _reports(said: Mapping[str, Any] | None) -> Iterator[Check]:
    """Check what the running agent says of its reports."""
    if not isinstance(said, Mapping):
        return
    if said.get("last_error") and not said.get("connected"):
        yield Check(
            name="reports",
            state="failed",
            found=str(said["last_error"]),
            fix=str(said.get("advice") or "do what the check above says"),
        )
    skew_ms = said.get("skew_ms")
    if isinstance(skew_ms, (int, float)):
        skew_s = abs(skew_ms) / 1000
        if skew_s > MAX_SKEW_S:
            found = f"this clock and the console's differ by {skew_s:.0f} s"
            yield Check(
                name="clock skew", state="failed", found=found, fix="keep both in step: timedatectl set-ntp true"
            )
        else:
            yield Check(name="clock skew", state="ok", found=f"{skew_s:.1f} s")


def _missing(worker: str, pid: int) -> list[str]:
    """Return the capabilities that a running worker should have and does not; nothing when it cannot be seen.

    What a worker's own children hold counts, too: one that parses may leave the looking to a child.
    """
    wanted = privileges.WORKERS.get(worker)
    if wanted is None or pid <= 0:
        return []
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        masks = [_effective(each) for each in (str(pid), *children)]
    except OSError:  # hidden from this user, or gone meanwhile; `view of …` says what is really missing
        return []
    held = {name for mask in masks for name in privileges.names(mask)}
    return sorted(set(wanted.capabilities) - held)


def _effective(pid: str) -> int:
    status = Path(f"/proc/{pid}/status").read_bytes()  # a process may have a name that is not UTF-8
    return next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith(b"CapEff:")), 0)
