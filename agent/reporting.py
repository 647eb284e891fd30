"""The agent's side of reporting: who it is, the reporter's thread as the settings want it, and enrolment by a configured token."""

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.challenges import Challenges
from agent.clock import Clock
from agent.identity import Identity
from agent.reporter import Reporter, ReporterSettings, ReporterStatus
from agent.settings import AgentSettings
from agent.spool.spool import Spool
from agent.state import State
from contracts.errors import HoldfastError, Unreachable
from contracts.event import Event
from contracts.host import Facts
from contracts.wire import Heartbeat
from settings.secret import read_secret

ENROL_TIMEOUT_S = 90.0
RETRY_S = (2.0, 5.0, 15.0, 60.0)


class Reporting:
    """Holds the identity and the reporter; a changed address or interval makes a new reporter."""

    def __init__(self, folder: Path, settings: AgentSettings, state: State, clock: Clock) -> None:
        self._folder, self._settings, self._state, self._clock = folder, settings, state, clock
        self._identity = Identity(folder, clock)
        self._reporter: Reporter | None = None
        self._ending = threading.Event()
        self._enrolling = ""

    @property
    def agent(self) -> str:
        """This agent's id."""
        return self._identity.agent

    @property
    def skew_ms(self) -> int | None:
        """This machine's clock minus the console's, where it is known."""
        return self._reporter.status().skew_ms if self._reporter else None

    def start(
        self,
        spool: Spool,
        heartbeat: Callable[[], Heartbeat],
        happened: Callable[[Event], None],
        facts: Facts,
        version: str,
        challenges: Challenges | None = None,
    ) -> None:
        """Begin to report; enrol first where the configuration holds a token and this agent is not enrolled."""
        self._parts = (spool, heartbeat, happened, challenges)
        self._begin()
        console = self._settings.console
        if console.token and console.url and self._identity.credentials() is None:
            arguments = (console.url, console.token, facts, version)
            threading.Thread(target=self._enrol, args=arguments, name="enrol", daemon=True).start()

    def use(self, settings: AgentSettings) -> None:
        """Follow changed settings."""
        former, self._settings = reporter_settings(self._settings), settings
        if self._reporter is not None and reporter_settings(settings) != former:
            self._reporter.stop(0.2)
            self._begin()

    def wake(self) -> None:
        """Say that there is something new to send."""
        if self._reporter is not None:
            self._reporter.wake()

    def beat(self) -> None:
        """Say that the next heartbeat should not wait for its time."""
        if self._reporter is not None:
            self._reporter.beat()

    def stop(self, timeout_s: float) -> None:
        """Send what waits if the console is there, and end."""
        self._ending.set()
        if self._reporter is not None:
            self._reporter.stop(timeout_s)

    def status(self) -> ReporterStatus:
        """Return how reporting stands."""
        if self._reporter is None:
            return ReporterStatus()
        status = self._reporter.status()
        if self._enrolling and not status.enrolled:
            return msgspec.structs.replace(status, last_error=self._enrolling, advice="")
        return status

    def _begin(self) -> None:
        spool, heartbeat, happened, challenges = self._parts
        wanted = reporter_settings(self._settings)
        self._reporter = Reporter(
            spool, self._state, self._identity, heartbeat, wanted, self._clock, happened, challenges
        )
        self._reporter.start()

    def _enrol(self, url: str, reference: str, facts: Facts, version: str) -> None:
        """Enrol by a child process, again and again while the console cannot be reached."""
        tries = 0
        while not self._ending.is_set():
            try:
                self._enrol_once(url, read_secret(reference), facts, version)
                self._enrolling = ""
                return
            except HoldfastError as error:
                self._enrolling = f"enrolment at {url}: {error}"
                if error.permanent:
                    return
            self._ending.wait(RETRY_S[min(tries, len(RETRY_S) - 1)])
            tries += 1

    def _enrol_once(self, url: str, token: str, facts: Facts, version: str) -> None:
        argv = [sys.executable, "-P", "-m", "agent.enrolment", "enrol", "--state", str(self._folder)]
        said = {"url": url, "token": token, "facts": facts, "version": version}
        try:
            done = subprocess.run(
                argv, input=msgspec.json.encode(said), capture_output=True, timeout=ENROL_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unreachable(f"the enrolment did not end: {error}") from error
        if done.returncode:
            line = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
            kind = Unreachable if done.returncode == Unreachable.exit_code else HoldfastError
            raise kind(line or f"it ended with code {done.returncode}")


def reporter_settings(settings: AgentSettings) -> ReporterSettings:
    """Return the reporter's part of the settings."""
    return ReporterSettings(
        url=settings.console.url.rstrip("/"), ca=settings.console.ca, every=settings.heartbeat.every
    )
