"""The proof against a real console: it is complete when the console has acknowledged the report, and says after how many milliseconds."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import msgspec
import pytest

from tests import clamav_lab
from tests.agent.test_antivirus_end_to_end import HOLDFAST
from tests.agent.test_end_to_end import ROOT, folder

__all__ = ["folder"]


class Both:
    """A console and an agent in a network namespace of their own, as `make run` starts them."""

    def __init__(self, folder, lab):
        self.state, self.drill = folder / "var", folder / "drill"
        (self.state / "etc" / "agent.d").mkdir(parents=True)
        clamav = f"{{clamd_conf: {lab.clamd_conf}, freshclam_conf: {lab.freshclam_conf}}}"
        (self.state / "etc" / "agent.d" / "antivirus.yaml").write_text(
            f"collectors: {{antivirus: {{clamav: {clamav}, defender: false, watch: [], drill: '{self.drill}'}}}}\n"
            f"antivirus: {{proof: {{folder: '{self.drill}', within: 10s}}}}\n"
        )
        command = 'ip link set lo up && exec "$0" tools/run_local.py --state "$1" --json'
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--net", "sh", "-c", command, sys.executable, str(self.state)],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (folder / "log").read_text()
        self.pids = json.loads(line)

    def holdfast(self, *words, code=0):
        argv = [str(HOLDFAST), *words, "-c", str(self.state / "etc" / "agent.yaml")]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert code is None or done.returncode == code, (words, done.stdout, done.stderr)
        return done

    def status(self):
        said = self.holdfast("status", "--json", code=None).stdout
        return json.loads(said) if said else {"console": {"connected": False}, "proofs": []}

    def until(self, holds, seconds):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, self.holdfast("events", code=None).stdout
            time.sleep(0.1)

    def stored(self, kind):
        """The events of this kind in the console's own database."""
        (path,) = (self.state / "console").glob("*.db")
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            rows = base.execute("SELECT body FROM events WHERE kind = ?", (kind,)).fetchall()
        finally:
            base.close()
        return [msgspec.msgpack.decode(body)["event"] for (body,) in rows]

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


@pytest.fixture
def both(folder):
    with clamav_lab.running() as lab:
        started = Both(folder, lab)
        try:
            yield started
        finally:
            started.close()


def test_a_proof_ends_when_the_console_has_the_report_and_is_missed_while_it_cannot_have_it(both):
    both.until(lambda: both.status()["console"]["connected"], 30)
    both.until(lambda: "clamav" in both.holdfast("antivirus", "status", code=None).stdout, 30)
    proved = json.loads(both.holdfast("antivirus", "prove", "--json").stdout)
    fields = proved["fields"]
    assert proved["kind"] == "antivirus.proved"
    assert 0 <= fields["detected_ms"] <= fields["reached_ms"] < 10_000
    assert f"the console had the report after {fields['reached_ms']:.0f} ms" in fields["detail"]
    (report,) = both.stored("antivirus.malware_found")
    assert report["drill"] == fields["proof"] and report["fields"]["path"] == fields["path"]
    both.until(lambda: both.stored("antivirus.proved"), 10)
    both.until(lambda: both.status()["proofs"], 10)
    (proof,) = both.status()["proofs"]
    assert (proof["proof"]["verb"], proof["proof"]["numbers"]["reached_ms"]) == ("reached", fields["reached_ms"])
    both.until(lambda: not list(both.drill.iterdir()), 10)
    os.kill(both.pids["console"], signal.SIGSTOP)
    try:
        missed = json.loads(both.holdfast("antivirus", "prove", "--json", code=1).stdout)
    finally:
        os.kill(both.pids["console"], signal.SIGCONT)
    assert missed["kind"] == "antivirus.proof_missed" and missed["severity"] == 5
    assert "but the console does not have the report" in missed["fields"]["detail"]
