"""A real ClamAV for the tests of this folder."""

import pytest

from collectors.antivirus.collector import AntivirusCollector
from collectors.antivirus.options import Options
from contracts.clamav_options import ClamavOptions
from contracts.snapshot import Snapshot, apply
from host.linux import LinuxHost
from tests import clamav_lab


@pytest.fixture(scope="session")
def lab():
    """A clamd that runs with a small database of version 27001; every test leaves it as it was."""
    with clamav_lab.running() as lab:
        yield lab


@pytest.fixture
def options(lab):
    """Settings that name the lab's ClamAV and nothing else."""

    def make(**more):
        conf = ClamavOptions(clamd_conf=str(lab.clamd_conf), freshclam_conf=str(lab.freshclam_conf))
        return Options(**{"clamav": conf, "defender": False, "watch": (), "drill": "", **more})

    return make


class Looking:
    """Looks again and again, and keeps the rows in between."""

    def __init__(self, options):
        self.rows, self.revision, self.blind, self.events = {}, 0, (), ()
        self._collector = AntivirusCollector(options)
        self._collector.patience_s = 60.0  # what is found counts here, not when

    def __call__(self):
        before = Snapshot(subject="antivirus", revision=self.revision, rows=self.rows)
        report = self._collector.collect(LinuxHost(), before)
        self.rows, self.revision = apply(self.rows, report.changes), self.revision + 1
        self.blind, self.events = report.blind, report.events
        return self.rows.get("clamav")


@pytest.fixture
def look(lab, options):
    yield Looking(options())
    for path in lab.databases.iterdir():
        path.unlink()
    lab.put(27001)
    lab.freshclam_conf.unlink(missing_ok=True)
    lab.log.unlink(missing_ok=True)


@pytest.fixture
def looking(options):
    """`looking(**settings)` looks with these settings."""
    return lambda **more: Looking(options(**more))
