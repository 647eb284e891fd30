"""The proof against a real console: it is complete when the console has acknowledged the report, and says after how many milliseconds."""

import json
import os
import signal

import pytest

from tests import clamav_lab
from tests.agent.both import Both
from tests.agent.test_end_to_end import folder

__all__ = ["folder"]


@pytest.fixture
def drill(folder):
    return folder / "drill"


@pytest.fixture
def both(folder, drill):
    with clamav_lab.running() as lab:
        clamav = f"{{clamd_conf: {lab.clamd_conf}, freshclam_conf: {lab.freshclam_conf}}}"
        text = (
            f"collectors: {{antivirus: {{clamav: {clamav}, defender: false, watch: [], drill: '{drill}'}}}}\n"
            f"antivirus: {{proof: {{folder: '{drill}', within: 20s}}}}\n"
        )
        started = Both(folder, {"agent.d/antivirus.yaml": text})
        try:
            yield started
        finally:
            started.close()


def status(both):
    said = both.holdfast("status", "--json", code=None).stdout
    return json.loads(said) if said else {"console": {"connected": False}, "proofs": []}


def test_a_proof_ends_when_the_console_has_the_report_and_is_missed_while_it_cannot_have_it(both, drill):
    def until(holds, seconds):
        both.until(holds, seconds, lambda: both.holdfast("events", code=None).stdout)

    until(lambda: status(both)["console"]["connected"], 30)
    until(lambda: "clamav" in both.holdfast("antivirus", "status", code=None).stdout, 30)
    proved = json.loads(both.holdfast("antivirus", "prove", "--json").stdout)
    fields = proved["fields"]
    assert proved["kind"] == "antivirus.proved"
    assert 0 <= fields["detected_ms"] <= fields["reached_ms"] < 20_000
    assert f"the console had the report after {fields['reached_ms']:.0f} ms" in fields["detail"]
    (report,) = both.stored("antivirus.malware_found")
    assert report["drill"] == fields["proof"] and report["fields"]["path"] == fields["path"]
    until(lambda: both.stored("antivirus.proved"), 30)
    until(lambda: status(both)["proofs"], 30)
    (proof,) = status(both)["proofs"]
    assert (proof["proof"]["verb"], proof["proof"]["numbers"]["reached_ms"]) == ("reached", fields["reached_ms"])
    until(lambda: not list(drill.iterdir()), 30)
    os.kill(both.pids["console"], signal.SIGSTOP)
    try:
        missed = json.loads(both.holdfast("antivirus", "prove", "--json", code=1).stdout)
    finally:
        os.kill(both.pids["console"], signal.SIGCONT)
    assert missed["kind"] == "antivirus.proof_missed" and missed["severity"] == 5
    assert "but the console does not have the report" in missed["fields"]["detail"]
