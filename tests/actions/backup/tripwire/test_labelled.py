"""The labelled set: what the tripwire says to ordinary days and to attacks; prints true and false positives.

`HOLDFAST_TRIPWIRE_SEEDS` gives the number of seeds (2 if not set); the design page holds a run with more.
"""

import os
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actions.backup.archiver import Choices
from actions.backup.job import Run
from actions.backup.options import JobOptions, PressureOptions
from actions.backup.pressure import Patience
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from actions.backup.tripwire.tripwire import Tripwire
from host.linux import LinuxHost
from tests.actions.backup.conftest import CHEAP, PASSWORD
from tests.actions.backup.tripwire.scenarios import BENIGN, MALICIOUS, Scenario, server

SEEDS = int(os.environ.get("HOLDFAST_TRIPWIRE_SEEDS", "2"))
HOST = LinuxHost()


class Server:
    """A tree that is backed up at the end of every day."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.dice = random.Random(seed)
        self.tree, state, where = folder / "tree", folder / "state", folder / "repository"
        self.tree.mkdir(parents=True)
        state.mkdir()
        Repository.create(LocalStore(where), PASSWORD, cost=CHEAP)
        self.host: Any = SimpleNamespace(state=str(state), files=HOST.files, write=HOST.write)
        self.job = JobOptions(repository=str(where), paths=(str(self.tree),), excludes=())
        self.store = LocalStore(where)
        server(self.tree, self.dice)
        self.night()

    def night(self) -> list[Any]:
        """Back up; returns what is suspected."""
        patience = Patience(PressureOptions(pause_at_most=0.0), HOST.files)
        tripwire = Tripwire(self.host, "etc", self.job)
        run = Run("etc", self.job, self.store, PASSWORD, Choices(), patience, hostname="here", tripwire=tripwire)
        return run.back_up().suspicions


def play(folder: Path, scenario: Scenario, seed: int) -> tuple[int, str]:
    """The night at which an anomaly was suspected and the measures, (0, "") for none in all of them."""
    server = Server(folder, seed)
    for number, _ in enumerate(scenario(server.tree, server.dice), 1):
        told = server.night()
        if told:
            return number, "; ".join(told[0].fields["measures"])
    return 0, ""


@pytest.mark.parametrize("scenario", [*BENIGN, *MALICIOUS], ids=lambda each: each.__name__)
def test_ordinary_days_raise_nothing_and_every_attack_is_found(
    scenario: Scenario, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actions.backup.locks.SETTLE_S", 0.0)
    malicious = scenario in MALICIOUS
    found = [play(tmp_path / str(seed), scenario, 1000 * seed + 7) for seed in range(SEEDS)]
    suspected = sum(night > 0 for night, _ in found)
    nights = sorted({night for night, _ in found if night})
    label = "malicious" if malicious else "benign"
    with capsys.disabled():
        print(f"\n| {label} | {scenario.__name__} | {suspected} of {SEEDS} | {nights} | {found[0][1]} |", end="")
    assert suspected == (SEEDS if malicious else 0), found
