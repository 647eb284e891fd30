"""The judge states each change once."""

from msgspec.structs import replace

from analysis.antivirus.judge import AntivirusJudge
from contracts.judge import View
from contracts.snapshot import Snapshot, apply
from contracts.subjects.antivirus import RUNS, SUBJECT, Limits, Product, Updater

NOW = 1_800_000_000_000
HOUR = 3_600_000


class Judging:
    """Judges again and again, and keeps the rows in between."""

    def __init__(self):
        self.rows, self.blind = {}, ()

    def __call__(self, products, now_ms, revision=1):
        snapshots = {SUBJECT: Snapshot(subject=SUBJECT, revision=revision, rows=products), RUNS: Snapshot(subject=RUNS)}
        view = View(snapshots=snapshots, accepted={}, now_ms=now_ms)
        report = AntivirusJudge().judge(view, Snapshot(subject="antivirus.state", revision=1, rows=self.rows))
        self.rows, self.blind = apply(self.rows, report.changes), report.blind
        return [(event.kind.partition(".")[2], int(event.severity)) for event in report.events]


def product(age_h, **more):
    return {
        "clamav": Product(
            name="clamav",
            provider="clamav",
            version=7,
            built_ms=NOW - age_h * HOUR,
            updater=Updater(state="running"),
            **more,
        )
    }


def test_it_is_stated_when_it_begins_when_it_gets_worse_and_when_it_is_over():
    judge = Judging()
    assert judge(product(1), NOW) == []
    assert judge(product(30), NOW) == [("signatures_stale", 3)]
    assert judge(product(40), NOW) == []
    assert judge(product(80), NOW) == [("signatures_stale", 5)]
    assert judge(product(1), NOW) == [("well_again", 1)] and judge.rows == {}


def test_before_the_first_look_nothing_is_concluded():
    assert Judging()({}, NOW, revision=0) == []
    assert Judging()({}, NOW) == [("none_installed", 3)]


def test_limits_that_clamd_keeps_silent_about_are_a_blind_spot():
    judge = Judging()
    judge(product(1, daemon="answers", loaded_version=7, loaded_ms=NOW), NOW)
    assert "up to where" in judge.blind[0].what
    limits = Limits(known=True, file_bytes=25 << 20, scan_bytes=100 << 20)
    judge(product(1, daemon="answers", loaded_version=7, loaded_ms=NOW, limits=limits), NOW)
    assert "limits unknown" in judge.blind[0].what and "25 MiB a file" in judge.blind[0].detail
    judge(product(1, daemon="answers", loaded_version=7, loaded_ms=NOW, limits=replace(limits, alerts=True)), NOW)
    assert judge.blind == ()
