"""A proof is complete when the report has gone the whole way, whatever comes first; else it is missed."""

import pytest

from agent.antivirus_proof import AntivirusProof
from agent.responder import Deed
from contracts.event import Envelope, Event, Lane, Severity
from contracts.subjects.antivirus import FOUND, PLANTED


class Bench:
    """A core, a spool and a loop by hand."""

    def __init__(self, console=True):
        self.time, self.later, self.stated, self.commands, self.acked = 0.0, [], [], [], 0
        self.console = console
        deed = Deed(action="antivirus_prove", worker="steward", arguments={}, deadline_s=60.0)
        self.proof = AntivirusProof(
            self, self, self, lambda: self.time, lambda: round(self.time * 1000), self.stated.append,
            lambda: {"antivirus_prove": deed}, lambda: "new", lambda: self.console,
        )  # fmt: skip

    def call_later(self, delay_s, callback):
        self.later.append((self.time + delay_s, callback))

    def positions(self):
        return {Lane.CRITICAL: (self.acked, 99)}

    def do_for(self, deed, command, done, progress):
        self.commands.append(command)

    def pass_until(self, time):
        while self.later and self.later[0][0] <= time:
            self.time, callback = self.later.pop(0)
            callback()
        self.time = time

    def planted(self, proof="p1"):
        fields = {"proof": proof, "path": "/d/x", "within_s": 10.0}
        self.take(PLANTED, Lane.NORMAL, 1, fields)

    def found(self, proof="p1", seq=7):
        self.take(FOUND, Lane.CRITICAL, seq, {"path": "/d/x"}, drill=proof)

    def take(self, kind, lane, seq, fields, drill=""):
        event = Event(
            kind=kind,
            key="k",
            severity=Severity.INFORMATIONAL,
            lane=lane,
            fields=fields,
            observed_ms=round(self.time * 1000),
            drill=drill,
        )
        self.proof.take(Envelope(id="e", agent="a", lane=lane, seq=seq, event=event))


@pytest.mark.parametrize("order", ["planted first", "found first"])
def test_it_is_proved_once_the_console_has_the_report(order):
    bench = Bench()
    if order == "planted first":
        bench.planted()
        bench.pass_until(0.3)
        bench.found()
    else:
        bench.found()
        bench.planted()
    bench.pass_until(1.0)
    assert bench.stated == [], "the console has not acknowledged it"
    bench.acked = 7
    bench.pass_until(1.2)
    (event,) = bench.stated
    assert event.kind == "antivirus.proved" and event.fields["reached_ms"] >= 1000
    assert event.fields["detected_ms"] == (300 if order == "planted first" else 0)
    (clean,) = bench.commands
    assert clean.arguments["step"] == "clean" and clean.arguments["detected_ms"] == event.fields["detected_ms"]


def test_without_a_console_being_found_is_what_counts():
    bench = Bench(console=False)
    bench.planted()
    bench.found()
    bench.pass_until(0.1)
    assert bench.stated[0].kind == "antivirus.proved" and "reached_ms" not in bench.stated[0].fields


def test_what_is_not_found_in_time_is_missed_and_critical_and_cleaned_up():
    bench = Bench()
    bench.planted()
    bench.found(proof="another")
    bench.pass_until(11.0)
    (event,) = bench.stated
    assert event.kind == "antivirus.proof_missed" and int(event.severity) == 5 and "not found" in event.fields["detail"]
    assert bench.commands[0].arguments == {"step": "clean", "proof": "p1"} and bench.later == []


def test_a_report_that_does_not_arrive_is_missed_too():
    bench = Bench()
    bench.planted()
    bench.found()
    bench.pass_until(11.0)
    assert "the console does not have" in bench.stated[0].fields["detail"]


def test_malware_that_is_no_drill_proves_nothing():
    bench = Bench(console=False)
    bench.planted()
    bench.found(proof="")
    bench.pass_until(11.0)
    assert bench.stated[0].kind == "antivirus.proof_missed"
