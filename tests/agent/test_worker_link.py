"""The connection to a worker that is hostile: whatever it says, the core refuses it, says so, and goes on."""

import array
import os
import socket
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.framing import core_codec, pack, read_frame, worker_codec
from agent.worker_link import Bucket
from contracts.action import Result
from contracts.errors import Unreachable
from contracts.event import Event, Severity
from contracts.frames import (
    PROTOCOL,
    Changed,
    Collect,
    Done,
    Emitted,
    Finished,
    Gap,
    NeedSnapshot,
    Pong,
    Ready,
    ReportPage,
    Watching,
)
from contracts.outcome import Cost, Ok


class Impostor:
    """A connector whose workers are threads of this test that say what they like."""

    def __init__(self, speak):
        self.speak = speak
        self.killed = 0
        self.threads = []

    def connect(self, name):
        if self.speak is None:
            raise Unreachable("gone")
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=self._run, args=[theirs, self.speak], daemon=True)
        self.threads.append(thread)
        thread.start()
        return ours

    def _run(self, sock, speak):
        with sock:
            try:
                read_frame(sock)
                speak(Says(sock))
                while read_frame(sock) is not None:
                    pass
            except OSError:
                pass

    def kill(self, name):
        self.killed += 1
        self.speak = None
        return True

    def uids(self, name):
        return frozenset({os.geteuid()})


class Says:
    def __init__(self, sock):
        self.sock = sock
        self.codec = worker_codec()

    def raw(self, data):
        self.sock.sendall(data)

    def frame(self, *frames):
        for frame in frames:
            self.raw(pack(self.codec.encode(frame)))

    def ready(self, **other):
        plain = {"protocol": PROTOCOL, "worker": "reader", "pid": 1, "uid": os.geteuid(), "capabilities": ()}
        self.frame(Ready(**(plain | other)))

    def asked(self):
        while True:
            frame = core_codec().decode(read_frame(self.sock))
            if isinstance(frame, Collect):
                return frame


def event(kind="probe.appeared", **more):
    return Event(kind=kind, key="x", severity=Severity.LOW, **more)


def refused(team, spec, speak, looks=False):
    """Return the reason for which a worker that speaks like this was refused."""
    impostor = Impostor(speak)
    crew = team(spec(watchers=("ticker",)), connector=impostor)
    answers = []
    if looks:
        crew.supervisor.collect("probe", 5, answers.append)
    crew.until(lambda: "agent.frame_refused" in crew.sink.kinds())
    said = next(one for one in crew.sink.own if one.kind == "agent.frame_refused")
    assert impostor.killed == 1
    assert not looks or (answers and type(answers[0].outcome).__name__ == "Unavailable" and not answers[0].events)
    return said.fields["detail"]


def after_ready(*frames, **other):
    def speak(says):
        says.ready(**other)
        says.frame(*frames)

    return speak


def to_a_look(*make):
    def speak(says):
        says.ready()
        asked = says.asked()
        says.frame(*(one(asked.id) for one in make))

    return speak


@pytest.mark.parametrize(
    ("speak", "reason"),
    [
        (lambda says: says.raw(b"\xff\xff\xff\xff"), "more than the limit"),
        (lambda says: says.raw(b"\0\0\0\0"), "an empty frame"),
        (lambda says: says.raw(pack(b"\x93\x01\x02")), "does not decode"),
        (lambda says: says.raw(pack(b"\x81" * 100_000)), "does not decode"),
        (lambda says: says.raw(pack(b'{"type": "ready"}')), "does not decode"),
        (after_ready(worker="netfilter"), "it says it is worker 'netfilter'"),
        (after_ready(uid=12345), "it says it is worker 'reader' of user 12345"),
        (lambda says: says.frame(Pong(nonce=1)), "before Ready"),
        (after_ready(Pong(nonce=99)), "a ping that was not sent"),
        (after_ready(Ready(protocol=1, worker="reader", pid=1, uid=0, capabilities=())), "a second Ready"),
        (after_ready(ReportPage(id=1)), "a look that nobody asked for"),
        (after_ready(Done(id=1, outcome=Ok(), cost=Cost())), "a look that nobody asked for"),
        (after_ready(Finished(id=1, result=Result(), cost=Cost())), "a command that nobody gave"),
        (after_ready(Emitted(watcher="other", event=event())), "a watcher 'other' that it does not host"),
        (after_ready(Emitted(watcher="ticker", event=event())), "kind 'probe.appeared', which it does not declare"),
        (
            after_ready(Emitted(watcher="ticker", event=event("ticker.ticked", fields={"count": float("nan")}))),
            "number that is none",
        ),
        (after_ready(Changed(watcher="ticker", subject="firewall")), "'firewall', which it does not look at"),
        (after_ready(Gap(watcher="ticker", reason="", seconds=float("inf"))), "a gap that is no time"),
        (after_ready(Watching(watcher="x" * 500, outcome=Ok())), "that it does not host"),
    ],
)
def test_what_a_worker_must_not_say_ends_its_connection_with_a_reason(team, spec, speak, reason):
    assert reason in refused(team, spec, speak)


def test_a_watcher_may_ask_for_a_subject_that_is_switched_off(team, spec):
    asks = (Changed(watcher="ticker", subject="firewall"), Changed(watcher="ticker", subject="probe"))
    crew = team(spec(watchers=("ticker",), off=("firewall",)), connector=Impostor(after_ready(*asks)))
    crew.until(lambda: ("ticker", "probe") in crew.sink.changes)
    assert "agent.frame_refused" not in crew.sink.kinds()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            (
                lambda n: ReportPage(id=n, events=(event("firewall.opened"),)),
                lambda n: Done(id=n, outcome=Ok(), cost=Cost()),
            ),
            "kind 'firewall.opened', which it does not declare",
        ),
        ((lambda n: ReportPage(id=n + 1),), "nobody asked for"),
        ((lambda n: NeedSnapshot(id=n, subject="firewall"),), "a snapshot that it was not about to use"),
        ((lambda n: NeedSnapshot(id=n, subject="probe"),) * 2, "a snapshot that it was not about to use"),
        ((lambda n: Done(id=n, outcome=Ok(), cost=Cost(wall_s=float("nan"))),), "a cost that cannot be"),
    ],
)
def test_a_report_that_is_off_counts_for_nothing(team, spec, make, reason):
    assert reason in refused(team, spec, to_a_look(*make), looks=True)


def test_floods_of_frames_and_of_events_are_refused(team, spec):
    def frames(says):
        says.ready()
        says.raw(pack(worker_codec().encode(Changed(watcher="ticker", subject="probe"))) * 20_000)

    def events(says):
        says.ready()
        one = event("ticker.ticked")
        asked = says.asked()
        page = ReportPage(id=asked.id, events=(one,) * 3_000)
        says.frame(*[page] * 10)

    assert "frames per second" in refused(team, spec, frames)
    assert "events per second" in refused(team, spec, events, looks=True)


def test_descriptors_that_come_along_are_refused_and_closed(team, spec):
    def speak(says):
        body = pack(worker_codec().encode(Pong(nonce=0)))
        rights = array.array("i", [0, 1, 2])
        says.sock.sendmsg([body], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])

    before = len(os.listdir("/proc/self/fd"))
    assert "descriptors" in refused(team, spec, speak)
    assert len(os.listdir("/proc/self/fd")) <= before + 12  # the team's own


def test_another_user_on_the_workers_socket_is_refused_whatever_it_says(team, spec):
    """The kernel names the sender of every message; a stolen socket is of no use."""

    def speak(says):
        pid = os.fork()
        if pid == 0:
            try:
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
                says.ready()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)

    assert refused(team, spec, speak) == "user 65534 speaks on its socket"


def test_a_dedup_key_of_somebody_else_becomes_the_workers_own(team, spec):
    stolen = "0" * 32
    impostor = Impostor(after_ready(Emitted(watcher="ticker", event=event("ticker.ticked", dedup=stolen))))
    crew = team(spec(watchers=("ticker",)), connector=impostor)
    crew.until(lambda: crew.sink.events)
    assert crew.sink.events[0].dedup not in ("", stolen)


def test_a_worker_that_never_reads_does_not_fill_the_cores_memory(team, spec):
    impostor = Impostor(lambda says: (says.ready(), time.sleep(3)))
    crew = team(spec(), connector=impostor)
    crew.running()
    crew.snapshots.stored["probe"] = (1, {f"key {n}": bytes(1000) for n in range(20_000)}, 1)
    crew.supervisor.collect("probe", 1.0, lambda look: None)
    link = crew.supervisor._keepers["reader"]._link
    crew.until(lambda: crew.state().restarts)
    assert len(link._out) < 2 << 20


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(min_size=1, max_size=400), st.booleans(), st.booleans())
def test_no_bytes_whatsoever_break_the_core(team, spec, data, framed, ready):
    def speak(says):
        if ready:
            says.ready()
        says.raw(pack(data) if framed else data)
        says.sock.shutdown(socket.SHUT_WR)

    crew = team(spec(watchers=("ticker",)), connector=Impostor(speak))
    crew.until(lambda: crew.sink.own)
    assert crew.sink.kinds()[0] in ("agent.frame_refused", "agent.worker_died")
    assert crew.state().state in ("backing_off", "starting", "running")
    crew.supervisor.stop()


def test_a_worker_that_says_nothing_is_given_up(team, spec):
    from agent.supervisor import Timing

    crew = team(spec(), connector=Impostor(lambda says: None), timing=Timing(handshake_s=0.2, first_wait_s=5))
    crew.until(lambda: "agent.worker_hung" in crew.sink.kinds())
    assert "did not say that it is ready" in crew.state().detail


def test_another_protocol_is_an_end_with_advice_not_a_violation(team, spec):
    crew = team(spec(), connector=Impostor(after_ready(protocol=PROTOCOL + 1)))
    crew.until(lambda: crew.sink.own)
    assert crew.sink.own[0].kind == "agent.worker_died" and "restart the agent" in crew.sink.own[0].fields["detail"]


def test_a_bucket_gives_its_burst_and_then_its_rate():
    now = 0.0
    bucket = Bucket(10, 5, lambda: now)
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False]
    now = 1.0
    assert bucket.take(4)
