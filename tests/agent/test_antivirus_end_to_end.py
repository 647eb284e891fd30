"""Antivirus through the whole agent: its workers under their own users, a real clamd, a real freshclam, the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import clamav_lab
from tests.agent.test_end_to_end import ROOT, Agent, folder

__all__ = ["folder"]
HOLDFAST = Path(sys.executable).with_name("holdfast")
EICAR = clamav_lab.EICAR


class Home:
    """An agent whose antivirus is the lab's."""

    def __init__(self, folder: Path, lab: clamav_lab.Lab, more: str = "") -> None:
        self.folder, self.lab = folder, lab
        self.agent = Agent(folder)
        self.uploads, self.drill = folder / "uploads", folder / "drill"
        self.uploads.mkdir(mode=0o755)
        clamav = f"{{clamd_conf: {lab.clamd_conf}, freshclam_conf: {lab.freshclam_conf}}}"
        self.agent.configure(
            f"collectors: {{antivirus: {{clamav: {clamav}, defender: false, watch: ['{self.uploads}'], drill: '{self.drill}'}}}}\n"
            f"antivirus: {{proof: {{folder: '{self.drill}', within: 20s}}{more}}}\n"
        )

    def holdfast(self, *words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        argv = [str(HOLDFAST), "antivirus", *map(str, words), "-c", str(self.agent.config)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done


@pytest.fixture(scope="module")
def lab():
    with clamav_lab.running() as lab:
        yield lab


@pytest.fixture
def home(folder, lab):
    made = []

    def start(more: str = "") -> Home:
        home = Home(folder, lab, more)
        made.append(home)
        home.agent.start()
        return home

    yield start
    for home in made:
        if home.agent.process is not None:
            home.agent.stop(signal.SIGKILL)


def test_it_shows_scans_quarantines_restores_and_proves(home):
    started = home()
    started.agent.until(lambda: started.agent.ask("subject", subject="antivirus")["rows"], 30)
    status = json.loads(started.holdfast("status", "--json", code=1).stdout)
    assert status["products"]["clamav"]["loaded_version"] == 27001
    assert status["products"]["clamav"]["daemon"] == "answers"
    assert set(status["findings"]) == {"proof"}, "nobody has proved it yet"
    proved = json.loads(started.holdfast("prove", "--json").stdout)
    assert proved["kind"] == "antivirus.proved" and 0 <= proved["fields"]["detected_ms"] < 20_000
    started.agent.until(lambda: not list(started.drill.iterdir()), 30)
    started.agent.until(lambda: started.agent.ask("status")["proofs"], 30)
    (proof,) = started.agent.ask("status")["proofs"]
    assert (proof["proof"]["subject"], proof["proof"]["verb"], proof["holds"]) == ("antivirus", "fired", True)
    started.holdfast("status")

    bad = started.uploads / "shell.php"
    bad.write_bytes(EICAR)
    bad.chmod(0o600)
    if started.agent.event("antivirus.malware_found", 30)["drill"]:
        started.agent.until(
            lambda: (
                str(bad)
                in {each["event"]["key"] for each in started.agent.ask("events", kind="antivirus.malware_found")}
            ),
            30,
        )
    done = started.holdfast("scan", started.uploads, code=1)
    assert f"{bad}: {clamav_lab.NAME}.UNOFFICIAL FOUND" in done.stdout
    started.holdfast("quarantine", "add", bad)
    assert not bad.exists()
    listed = json.loads(started.holdfast("quarantine", "list", "--json").stdout)["entries"]
    assert listed[0]["path"] == str(bad) and listed[0]["mode"] == 0o600
    vault = Path(listed[0]["vault"])
    assert vault.stat().st_uid not in (0, os.getuid()) and (vault / listed[0]["entry"]).stat().st_mode & 0o777 == 0
    started.holdfast("scan", started.uploads)
    started.holdfast("quarantine", "restore", listed[0]["entry"])
    assert bad.read_bytes() == EICAR and bad.stat().st_mode & 0o777 == 0o600
    started.holdfast("quarantine", "add", bad)
    entry = json.loads(started.holdfast("quarantine", "list", "--json").stdout)["entries"][0]["entry"]
    started.holdfast("quarantine", "delete", entry, "--yes")
    assert "empty" in started.holdfast("quarantine", "list").stdout
    steward = started.agent.worker("steward")
    assert steward["uid"] not in (0, -1)
    assert "antivirus.proof_missed" not in started.agent.kinds()


def test_stale_signatures_are_updated_by_a_freshclam_without_rights_and_found_malware_goes_to_quarantine(home, lab):
    folder = lab.folder / "mirror"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "daily.cud").write_bytes(clamav_lab.database(27002))
    lab.put(27001, time.time() - 100 * 3600)
    lab.stop()
    lab.start()
    lab.freshclam_conf.write_text(
        f"DatabaseDirectory {lab.databases}\nDatabaseMirror 127.0.0.1\nDatabaseCustomURL file://{folder}/daily.cud\n"
        "ExcludeDatabase daily\nExcludeDatabase main\nExcludeDatabase bytecode\nMaxAttempts 1\n"
    )
    started = home(", update: {dns: false, memory: 0}, quarantine: {enabled: true}")
    stale = started.agent.event("antivirus.signatures_stale", 30)
    assert stale["severity"] == 5 and "4 days old" in stale["fields"]["detail"]
    updated = started.agent.event("antivirus.signatures_updated", 60)["fields"]
    assert (updated["former_version"], updated["newest"], updated["loaded"]) == (27001, 27002, 27002)
    assert (lab.databases / "daily.cud").stat().st_uid == lab.databases.stat().st_uid
    started.agent.event("antivirus.well_again", 30)
    bad = started.uploads / "bad"
    bad.write_bytes(EICAR)
    started.agent.event("antivirus.quarantined", 30)
    assert not bad.exists()


def test_a_proof_that_is_missed_is_critical(home, lab):
    started = home()
    started.agent.until(lambda: started.agent.ask("subject", subject="antivirus")["rows"], 30)
    lab.stop()
    try:
        done = started.holdfast("prove", "--json", code=1)
    finally:
        lab.start()
    missed = json.loads(done.stdout)
    assert missed["kind"] == "antivirus.proof_missed" and missed["severity"] == 5
    started.agent.until(lambda: not list(started.drill.iterdir()), 30)


def test_what_integrity_and_a_backup_saw_change_is_the_first_of_the_next_scan_also_after_a_restart(folder, lab):
    """Neither file lies below the paths of the scan, and the agent is killed between the changes and the scan."""
    home = Home(folder, lab)
    programs, data, scanned = folder / "programs", folder / "data", folder / "scanned"
    for each in (programs, data, scanned):
        each.mkdir()
        (each / "clean").write_bytes(b"nothing to see")
    job = f"{{repository: {folder}/repository, password: 'file:{folder}/key', paths: [{data}], at: '02:15', splay: 0s}}"
    home.agent.config.write_text(
        home.agent.config.read_text().replace("within: 20s}", f"within: 8s}}, scan: {{paths: ['{scanned}']}}")
        + f"backup: {{pressure: {{pause_at_most: 0s}}, jobs: {{system: {job}}}}}\n"
    )
    text = home.agent.config.read_text().replace(
        "collectors: {",
        f"collectors: {{integrity: {{enabled: true, profiles: [], watch: {{it: {{paths: ['{programs}']}}}}}}, ",
    )
    home.agent.config.write_text(text)

    def backup(verb: str) -> None:
        argv = [str(HOLDFAST), "backup", verb, "-c", str(home.agent.config), "system"]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr

    try:
        backup("init")
        home.agent.start()
        home.agent.event("integrity.baseline_made", 60)
        backup("run")
        (programs / "sshd").write_bytes(EICAR)
        (data / "upload").write_bytes(EICAR)
        home.agent.event("integrity.created", 60)
        backup("run")
        home.agent.stop(signal.SIGKILL)
        home.agent.start()
        done = home.holdfast("scan", "--delta", "--json", code=1)
        told = json.loads(done.stdout)
        found = {line.partition(":")[0] for line in told["answer"]["found"]}
        assert found == {str(programs / "sshd"), str(data / "upload")}, told
        assert told["answer"]["first"] == 2
        again = json.loads(home.holdfast("scan", "--delta", "--json").stdout)["answer"]
        assert (again["first"], again["files"], again["unchanged"]) == (0, 0, 1), "what was gone through is not kept"
    finally:
        if home.agent.process is not None:
            home.agent.stop(signal.SIGKILL)
