"""The way of a suspicion: a run, the event, the state, retention refused at the command line, a person who acknowledges; and of a gap."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actions.backup.tripwire.scenarios import noise
from tests.agent.test_backup_end_to_end import HOLDFAST as PROGRAM
from tests.agent.test_backup_end_to_end import ROOT, Home, folder, states

__all__ = ["folder"]


@pytest.fixture
def home(folder: Path) -> Iterator[Home]:
    made = Home(folder)
    made.configure(more=", keep: {last: 1}")
    for number in range(60):
        (made.source / f"table{number}.csv").write_text(f"{number};" + "one line after the other;\n" * 100)
    try:
        yield made
    finally:
        if made.agent.process is not None:
            made.agent.stop(signal.SIGKILL)


def to_agent(home: Home, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """A subcommand of a group, whose options come last."""
    argv = [str(PROGRAM), "backup", *words, "-c", str(home.agent.config)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, (words, done.stdout, done.stderr)
    return done


@pytest.mark.timeout(900)
def test_a_suspicion_stands_holds_retention_and_goes_when_a_person_says_so(home: Home) -> None:
    home.here("init")
    home.agent.start()
    home.here("run")
    for number in range(20):
        (home.source / f"table{number}.csv").write_bytes(noise(2_500, number))
    home.here("run")
    fields = home.agent.event("backup.anomaly_suspected", 30)["fields"]
    assert (fields["measures"], len(fields["paths"])) == (["turned 20 (limit 10)"], 20)
    home.agent.until(lambda: states(home).get("system") == "suspected", 30)
    assert "suspected" in home.here("status", code=1).stdout
    home.agent.until(lambda: "retention_held" in str(home.agent.kinds()), 30)
    for words in (("forget", "--keep-last", "1"), ("forget", "--keep-last", "1", "--even-when-held"), ("prune",)):
        assert "an anomaly is suspected" in to_agent(home, *words, code=1).stderr
    assert "the last good snapshot" in to_agent(home, "forget", fields["good"][0], code=1).stderr
    told = to_agent(home, "acknowledge", "--why", "restored what was encrypted")
    assert "acknowledged" in told.stdout
    assert home.agent.event("backup.anomaly_acknowledged", 30)["fields"]["why"] == "restored what was encrypted"
    home.agent.until(lambda: states(home).get("system") not in (None, "suspected"), 30)
    assert "nothing is suspected" in to_agent(home, "acknowledge", "--why", "again", code=1).stderr
    to_agent(home, "prune")


def test_a_canary_is_planted_looked_at_and_missed(home: Home) -> None:
    home.here("init")
    home.agent.start()
    home.here("run")
    assert to_agent(home, "canary", "plant", str(home.source)).stdout.count(str(home.source)) == 3
    birds = to_agent(home, "canary", "list").stdout.split("\n")[:3]
    home.here("run")
    assert "backup.anomaly_suspected" not in home.agent.kinds()
    elsewhere = home.folder / "elsewhere"
    elsewhere.mkdir()
    assert "is not saved by the job" in to_agent(home, "canary", "plant", str(elsewhere), code=1).stderr
    assert list(elsewhere.iterdir()) == [], "nothing is left of it"
    Path(birds[0]).write_text("ruined")
    home.here("run")
    event = home.agent.event("backup.anomaly_suspected", 30)
    assert (event["severity"], event["fields"]["measures"]) == (5, ["canary 1 (limit 0)"])
    to_agent(home, "acknowledge", "--why", "it was me")
    assert len(json.loads(to_agent(home, "canary", "list", "--json").stdout)["answer"]["canaries"]) == 2
    to_agent(home, "canary", "remove", *birds[1:])
    assert not Path(birds[1]).exists()


def test_what_no_job_covers_is_told_with_the_settings_that_cover_it(home: Home) -> None:
    home.agent.start()
    home.agent.until(lambda: home.agent.ask("subject", subject="holdings")["revision"] > 0, 60)
    home.agent.event("backup.gap_found", 30)
    home.agent.until(lambda: home.agent.ask("subject", subject="backup.gaps")["rows"], 30)
    told = json.loads(home.here("coverage", "--json", code=1).stdout)
    # Databases that other tests run on this machine meanwhile are holdings, too, and have no path.
    etc = next(each for each in told["holdings"] if each["holding"].get("path") == "/etc")
    assert (etc["state"], etc["job"]) == ("missing", "system")
    assert "paths: [" in etc["settings"]
    assert "things are covered" in home.here("coverage", code=1).stdout
