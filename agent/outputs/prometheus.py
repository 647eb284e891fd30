"""The agent's metrics in Prometheus' text exposition format.

Written here by hand because prometheus_client costs a process 12 MB of memory and 60 ms at import (it brings an HTTP server, gzip and its
own registry), a sixth of all that core and workers may use together; the format itself is a few lines. The console, which has room, uses
the library. See https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from agent.outputs.rendering import OutputState
from contracts.coverage import Coverage
from contracts.outcome import Failed, Ok, Run, Unavailable
from contracts.record import Record
from contracts.wire import Heartbeat

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Sample(Record):
    """One number with its labels."""

    value: float
    labels: Mapping[str, str] = {}


class Family(Record):
    """One metric: its name without prefix, what it means, its type, its samples."""

    name: str
    help: str
    type: Literal["counter", "gauge"]
    samples: tuple[Sample, ...]


def render(families: Iterable[Family]) -> bytes:
    """Return the exposition of `families`."""
    return "".join(line for family in families for line in _lines(family)).encode("utf-8", "replace")


def families(
    heartbeat: Heartbeat, outputs: Iterable[OutputState] = (), events: Mapping[str, int] | None = None
) -> Iterator[Family]:
    """Yield the agent's metrics: what a heartbeat says, how the outputs are, and events by severity since the start."""
    info = {"version": heartbeat.version, "hostname": heartbeat.facts.hostname, "kernel": heartbeat.facts.kernel}
    yield _gauge("info", "The agent and its machine; always 1.", [Sample(value=1, labels=info)])
    yield _gauge("uptime_seconds", "Seconds since the agent started.", [Sample(value=heartbeat.uptime_s)])
    yield from _coverage(heartbeat.coverage)
    yield from _runs(heartbeat.runs)
    workers = [(worker, {"worker": worker.name, "state": worker.state}) for worker in heartbeat.workers]
    yield _gauge(
        "worker_up", "Workers by name and state; always 1.", [Sample(value=1, labels=labels) for _, labels in workers]
    )
    restarts = [Sample(value=worker.restarts, labels={"worker": worker.name}) for worker, _ in workers]
    yield _counter("worker_restarts_total", "How often a worker was started again.", restarts)
    lanes = [(lane, {"lane": lane.lane.value}) for lane in heartbeat.lanes]
    yield _gauge(
        "spool_waiting",
        "Events that wait for the console.",
        [Sample(value=lane.waiting, labels=labels) for lane, labels in lanes],
    )
    yield _gauge(
        "spool_bytes", "Bytes of events that wait.", [Sample(value=lane.bytes, labels=labels) for lane, labels in lanes]
    )
    yield _counter(
        "spool_lost_total",
        "Events that gave way to others.",
        [Sample(value=lane.lost, labels=labels) for lane, labels in lanes],
    )
    if heartbeat.clock_skew_ms is not None:
        skew = [Sample(value=heartbeat.clock_skew_ms / 1000)]
        yield _gauge("clock_skew_seconds", "This machine's clock minus the console's.", skew)
    counted = [Sample(value=count, labels={"severity": severity}) for severity, count in (events or {}).items()]
    yield _counter("events_total", "Events since the agent started, by severity.", counted)
    states = list(outputs)
    written = [Sample(value=state.written, labels={"output": state.name}) for state in states]
    yield _counter("output_written_total", "Events written to an output.", written)
    lost = [Sample(value=state.lost, labels={"output": state.name}) for state in states]
    yield _counter("output_lost_total", "Events that an output could not take.", lost)


def _coverage(coverage: Coverage) -> Iterator[Family]:
    seen = [
        Sample(value=float(sight.state == "seen"), labels={"subject": sight.subject, "state": sight.state})
        for sight in coverage.sights
    ]
    yield _gauge("subject_seen", "Whether a subject is wholly seen (1) or not (0).", seen)
    blind = [Sample(value=len(sight.blind), labels={"subject": sight.subject}) for sight in coverage.sights]
    yield _gauge("subject_blind_spots", "How many things cannot be seen of a subject.", blind)
    rows = [Sample(value=sight.rows, labels={"subject": sight.subject}) for sight in coverage.sights]
    yield _gauge("subject_rows", "Rows of a subject's last snapshot.", rows)
    last = [
        Sample(value=sight.last_ok_ms / 1000, labels={"subject": sight.subject})
        for sight in coverage.sights
        if sight.last_ok_ms
    ]
    yield _gauge("subject_last_ok_timestamp_seconds", "When a subject was last looked at with success.", last)


def _runs(runs: Iterable[Run]) -> Iterator[Family]:
    latest = {run.name: run for run in runs}
    words = {Ok: "ok", Unavailable: "unavailable", Failed: "failed"}
    outcomes = [
        Sample(value=1, labels={"run": name, "outcome": words[type(run.outcome)]}) for name, run in latest.items()
    ]
    yield _gauge("run_outcome", "How the last run ended; always 1.", outcomes)
    wall = [Sample(value=run.cost.wall_s, labels={"run": name}) for name, run in latest.items()]
    yield _gauge("run_duration_seconds", "How long the last run took.", wall)


def _gauge(name: str, text: str, samples: Iterable[Sample]) -> Family:
    return Family(name=name, help=text, type="gauge", samples=tuple(samples))


def _counter(name: str, text: str, samples: Iterable[Sample]) -> Family:
    return Family(name=name, help=text, type="counter", samples=tuple(samples))


def _lines(family: Family) -> Iterator[str]:
    if not family.samples:
        return
    name = f"holdfast_{family.name}"
    yield f"# HELP {name} {_escape(family.help)}\n# TYPE {name} {family.type}\n"
    for sample in family.samples:
        labels = ",".join(f'{label}="{_escape_label(value)}"' for label, value in sample.labels.items())
        yield f"{name}{{{labels}}} {_number(sample.value)}\n" if labels else f"{name} {_number(sample.value)}\n"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _escape_label(text: str) -> str:
    return _escape(text).replace('"', r"\"")
