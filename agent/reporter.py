"""Reports to the console, in a thread of its own: heartbeats and batches there, acknowledgements back.

A heartbeat rides in whatever report is due, so it never waits for a backlog; reports are kept so small that one takes a few seconds at
most, however slow the way. What cannot be sent stays in the spool. `status` says in people's words why the console is not reached.
"""

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from agent import transport
from agent.challenges import Challenges
from agent.clock import Clock
from agent.fleet_news import FleetNews
from agent.identity import Credentials, Identity
from agent.outbox import CONSOLE_BEHIND, MAX_BUDGET, MIN_BUDGET, Outbox
from agent.renewal import Renewal
from agent.spool.spool import Spool
from agent.sqlite_file import FileFull
from agent.state import State
from agent.transport import Answer, Interrupted, NotTrusted, Transport
from contracts.codec import UNDECODABLE
from contracts.errors import HoldfastError, Malformed, Refused, Unreachable
from contracts.event import Event, Kind, Severity
from contracts.options import Duration
from contracts.record import Record
from contracts.tolerant import Tolerant
from contracts.wire import Ack, Batch, Heartbeat, Problem

T = TypeVar("T", bound=Record)

REFUSED_PAUSE_S = 300.0
RENEWAL_RETRY_S = 600.0
LOOK_AGAIN_S = 2.0
"""How often a waiting reporter looks whether it was enrolled (again) meanwhile."""
MAX_CONFLICTS = 8
BEAT_GAP_S = 1.0

CONSOLE_REFUSED = Kind(
    name="agent.console_refused",
    meaning="The console refuses this agent's reports, as after a revocation; they wait in the spool.",
    title="the console refuses this agent: {error}",
    severity=Severity.HIGH,
    fields={"error": "str", "status": "int"},
    advice="If this agent should report, enrol it again with a new token.",
    ocsf_class=6008,
)
CERTIFICATE_RENEWED = Kind(
    name="agent.certificate_renewed",
    meaning="The agent has a new key and certificate.",
    title="the agent's certificate was renewed",
    severity=Severity.INFORMATIONAL,
    ocsf_class=6002,
)
RENEWAL_FAILED = Kind(
    name="agent.renewal_failed",
    meaning="The agent's certificate could not be renewed; the present one still works until it ends.",
    title="the agent's certificate could not be renewed: {error}",
    severity=Severity.MEDIUM,
    fields={"error": "str"},
    advice="Do what the error says; it is tried again every ten minutes.",
    ocsf_class=6008,
)

KINDS = (CONSOLE_REFUSED, CERTIFICATE_RENEWED, RENEWAL_FAILED, CONSOLE_BEHIND)


class ReporterSettings(Record):
    """How the agent reports. An empty `url` means where it was enrolled, an empty `ca` the authority it was given there."""

    url: str = ""
    ca: str = ""
    every: Annotated[Duration, Meta(ge=0.05, le=3600.0)] = 30.0
    timeout: Annotated[Duration, Meta(gt=0)] = 20.0
    longest_pause: Annotated[Duration, Meta(gt=0)] = 30.0
    gather: Annotated[Duration, Meta(ge=0)] = 0.03


class ReporterStatus(Record):
    """How the reporter is. `last_error` and `advice` are empty while all is well; times in Unix ms, 0 for never.

    `skew_ms` is this machine's clock minus the console's, half a round trip taken off; None until known.
    """

    enrolled: bool = False
    connected: bool = False
    url: str = ""
    last_ok_ms: int = 0
    last_error: str = ""
    advice: str = ""
    skew_ms: int | None = None
    renew_after_ms: int = 0
    retry_in_s: float = 0.0


class Reporter:
    """The thread that speaks with the console. `heartbeat` and `happened` are called from it."""

    def __init__(
        self,
        spool: Spool,
        state: State,
        identity: Identity,
        heartbeat: Callable[[], Heartbeat],
        settings: ReporterSettings,
        clock: Clock,
        happened: Callable[[Event], None],
        challenges: Challenges | None = None,
    ) -> None:
        self._challenges = challenges
        self._identity = identity
        self._heartbeat = heartbeat
        self._settings = settings
        self._clock = clock
        self._happened = happened
        self._outbox = Outbox(spool, state, identity.agent, happened)
        self._news = FleetNews(happened)
        self._renewal = Renewal(identity.directory.parent)
        self._credentials: Credentials | None = None
        self._transport: Transport | None = None
        self._status = ReporterStatus()
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self._next_beat = self._not_before = self._next_renewal = 0.0
        self._last_beat = -BEAT_GAP_S
        self._beat_asked = False
        self._every_s = settings.every
        self._budget = 256 << 10
        self._failures = self._conflicts = 0
        self._refused = self._renewal_failed = False

    def start(self) -> None:
        """Begin to report."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something new to send."""
        self._woken.set()

    def beat(self) -> None:
        """Have the next heartbeat sent soon, because what it says has changed; not more than one in `BEAT_GAP_S` seconds."""
        self._beat_asked = True
        self._woken.set()

    def stop(self, timeout_s: float) -> None:
        """Send what waits if the console is there, and end; takes `timeout_s` at most (and a moment)."""
        self._stopping = True
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive() and self._transport is not None:
                self._transport.interrupt()
                self._thread.join(2.0)
        self._renewal.abandon()

    def status(self) -> ReporterStatus:
        """Return how reporting stands; from any thread."""
        wait = max(0.0, self._not_before - self._clock.monotonic())
        return msgspec.structs.replace(self._status, retry_in_s=round(wait, 1))

    def _run(self) -> None:
        while not self._stopping:
            pause = self._step()
            if pause > 0:
                self._rest(pause)
        if self._status.connected and self._failures == 0 and self._outbox.waiting():
            self._step()
        if self._transport is not None:
            self._transport.close()

    def _rest(self, pause_s: float) -> None:
        """Wait, but not longer than until something is new to send; a moment more, so that what comes together goes together."""
        if self._failures:
            # While the console is away nothing new shortens the wait.
            until = self._clock.monotonic() + pause_s
            while not self._stopping and (left := until - self._clock.monotonic()) > 0:
                self._woken.wait(min(left, LOOK_AGAIN_S))
                if not self._stopping:
                    self._woken.clear()
                if self._enrolled_anew():
                    self._not_before = 0.0
                    return
            return
        if self._woken.wait(min(pause_s, LOOK_AGAIN_S if self._renewal.running else pause_s)):
            self._woken.clear()
            if not self._stopping:
                threading.Event().wait(self._settings.gather)

    def _step(self) -> float:
        """Do what is due; return how long there is nothing to do."""
        now = self._clock.monotonic()
        try:
            if not self._connectable():
                self._failures = 1
                return LOOK_AGAIN_S
            self._renew_when_due(now)
            if now < self._not_before:
                return self._not_before - now
            if self._beat_asked:
                self._next_beat = min(self._next_beat, self._last_beat + BEAT_GAP_S)
            due = now >= self._next_beat
            batch = self._outbox.compose(self._beat() if due else None, self._budget)
            if not due and not batch.lanes and not batch.subjects:
                return max(0.01, self._next_beat - now)
            self._exchange(batch, now)
            if self._outbox.progress and self._outbox.waiting():
                return 0.0
            return max(0.0, self._next_beat - self._clock.monotonic())
        except Interrupted:
            return 0.0
        except HoldfastError as error:
            return self._fail(error)

    def _connectable(self) -> bool:
        """Make sure there is a transport with the present identity; False while this agent is not enrolled."""
        if self._transport is not None and not self._enrolled_anew():
            return True
        credentials = self._identity.credentials()
        if credentials is None:
            advice = "run `holdfast enroll URL` with a token that the console's `holdfast console token create` prints"
            self._status = ReporterStatus(last_error="this agent is not enrolled at a console", advice=advice)
            return False
        if self._transport is not None:
            self._transport.close()
        url = self._settings.url or credentials.enrolment.url
        tls = transport.context(
            _authority(self._settings.ca or credentials.authority), credentials.certificate, credentials.key
        )
        self._transport = Transport(url, tls, self._settings.timeout)
        self._credentials = credentials
        self._failures, self._not_before, self._refused = 0, 0.0, False
        self._status = ReporterStatus(
            enrolled=True,
            url=url,
            last_ok_ms=self._status.last_ok_ms,
            renew_after_ms=credentials.enrolment.renew_after_ms,
        )
        return True

    def _enrolled_anew(self) -> bool:
        try:
            found = self._identity.current()
        except OSError:
            return False
        return found != (self._credentials.directory if self._credentials else "")

    def _beat(self) -> Heartbeat:
        self._beat_asked = False  # before it is made: what changes from here on asks again
        beat = self._heartbeat()
        return msgspec.structs.replace(
            beat, sent_ms=self._clock.now_ms(), every_s=self._every_s, clock_skew_ms=self._status.skew_ms
        )

    def _exchange(self, batch: Batch, now: float) -> None:
        assert self._transport is not None
        if self._challenges is not None:
            batch = msgspec.structs.replace(batch, answered=self._challenges.answers())
        body = _packed(batch)
        answer = self._transport.post("/v1/report", body)
        took = self._clock.monotonic() - now
        if answer.status == 200:
            self._accept(answer, batch, took)
        elif answer.status == 409:
            self._conflict(_decoded(answer, Problem))
        elif answer.status == 413 and self._budget > MIN_BUDGET:
            self._budget = max(MIN_BUDGET, self._budget // 2)
            self._outbox.failed()
            self._outbox.progress = True
        else:
            raise self._refusal(answer)

    def _accept(self, answer: Answer, batch: Batch, took: float) -> None:
        ack = _decoded(answer, Ack)
        try:
            self._outbox.acknowledged(ack)
        except FileFull:
            # What cannot be noted now is sent again, and skipped there; the console is reached all the same.
            self._outbox.progress = False
        self._news.take(ack.newest, self._clock.now_ms())
        if self._challenges is not None:
            self._challenges.acknowledged(batch.answered)
            self._challenges.take(ack.challenges)
        local = self._clock.now_ms()
        skew = (local - int(answer.round_trip_s * 500)) - ack.now_ms
        self._every_s = (
            min(self._settings.every, max(1.0, ack.interval_s)) if ack.interval_s > 0 else self._settings.every
        )
        if batch.heartbeat is not None:
            self._last_beat = self._clock.monotonic()
            self._next_beat = self._clock.monotonic() + self._every_s * random.uniform(0.9, 1.0)
        self._failures = self._conflicts = 0
        self._refused = False
        if took > 3.0:
            self._budget = max(MIN_BUDGET, self._budget // 2)
        elif took < 1.0:
            self._budget = min(MAX_BUDGET, self._budget * 2)
        self._status = msgspec.structs.replace(
            self._status, connected=True, last_ok_ms=local, last_error="", advice="", skew_ms=skew
        )

    def _conflict(self, problem: Problem) -> None:
        """Go on from what the console holds; give up for a while when that does not help."""
        self._conflicts += 1
        self._outbox.progress = True
        if not self._outbox.conflicted(problem) or self._conflicts > MAX_CONFLICTS:
            raise Unreachable(f"the console does not take what follows: {problem.error}", advice=problem.advice)

    def _refusal(self, answer: Answer) -> HoldfastError:
        """Return what an answer that is neither yes nor a conflict means."""
        try:
            problem = _decoded(answer, Problem)
        except HoldfastError:
            advice = "check that console.url is the console's address for agents"
            return Unreachable(f"the server answered {answer.status}, and not as a console does", advice=advice)
        if answer.status == 403:
            if not self._refused:
                self._refused = True
                self._happened(CONSOLE_REFUSED.event("console", error=problem.error[:500], status=answer.status))
            return Refused(f"the console refuses this agent: {problem.error}", advice=problem.advice)
        self._not_before = self._clock.monotonic() + answer.retry_after_s
        return Unreachable(f"the console answered {answer.status}: {problem.error}", advice=problem.advice)

    def _fail(self, error: HoldfastError) -> float:
        """Note why it did not work and return how long to wait: doubling, with jitter, and long after a refusal."""
        self._outbox.failed()
        self._failures += 1
        if isinstance(error, Unreachable):
            self._budget = max(MIN_BUDGET, self._budget // 2)
        longest = min(self._settings.longest_pause, 2.0 ** min(self._failures - 1, 20))
        pause = REFUSED_PAUSE_S if isinstance(error, Refused) else longest
        pause *= random.uniform(0.5, 1.0)
        now = self._clock.monotonic()
        pause = max(pause, self._not_before - now)
        self._not_before = now + pause
        if isinstance(error, Malformed | NotTrusted) and self._transport is not None:
            self._transport.close()
        self._status = msgspec.structs.replace(
            self._status, connected=False, last_error=error.message, advice=error.advice
        )
        return pause

    def _renew_when_due(self, now: float) -> None:
        """Start the renewal once it is time, and take up what it brought."""
        assert self._credentials is not None
        ended = self._renewal.poll(now)
        if ended is None and not self._renewal.running:
            due = self._clock.now_ms() >= self._credentials.enrolment.renew_after_ms and now >= self._next_renewal
            if not due:
                return
            self._next_renewal = now + RENEWAL_RETRY_S
            ended = self._renewal.start(now)
        if ended is None:
            return
        if not ended.error:
            self._renewal_failed = False
            self._happened(CERTIFICATE_RENEWED.event("certificate"))
        elif not self._renewal_failed:
            self._renewal_failed = True
            self._happened(RENEWAL_FAILED.event("certificate", error=ended.error))


def _authority(path: str) -> str:
    try:
        return Path(path).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise NotTrusted(f"{path}: {error}", advice="check console.ca, or enrol this agent again") from error


def _packed(batch: Batch) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=3).compress(msgspec.msgpack.encode(batch))


def _decoded(answer: Answer, kind: type[T]) -> T:
    try:
        return Tolerant(kind).decode(answer.body)
    except UNDECODABLE as error:
        raise Malformed(
            f"the console's answer does not decode: {error}",
            advice="check that agent and console have versions that fit",
        ) from error
