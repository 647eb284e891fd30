"""A scan waits for the rest of the server, not for ever, and ends when its time is up."""

from actions.antivirus.options import ScanOptions
from actions.antivirus.pace import Pace
from host.fake import FakeHost


def pace(tmp_path, figure, at_most_s=0.0, patient=True, **options):
    folder = tmp_path / "files" / "proc" / "pressure"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("cpu", "io", "memory"):
        (folder / name).write_text(f"some avg10={figure} avg60=0.00 avg300=0.00 total=0\n")
    host = FakeHost(tmp_path)
    host.advance(10)
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        host.advance(seconds)

    return Pace(host, ScanOptions(**options), at_most_s, sleep, patient=patient), slept, host


def test_without_pressure_nothing_waits(tmp_path):
    made, slept, _ = pace(tmp_path, "1.00")
    assert made.go_on() and slept == []


def test_under_pressure_it_waits_as_long_as_it_may_and_says_for_what(tmp_path):
    made, slept, _ = pace(tmp_path, "99.00", pause_at_most=5.0)
    assert made.go_on() and sum(slept) == 5 and made.waits_for == "cpu" and made.paused_s == 5


def test_its_time_ends_it_also_while_it_waits(tmp_path):
    made, slept, host = pace(tmp_path, "99.00", at_most_s=3.0, pause_at_most=60.0)
    assert not made.go_on() and sum(slept) == 3
    other, _, host = pace(tmp_path, "0.00", at_most_s=3.0)
    assert other.go_on()
    host.advance(4)
    assert not other.go_on()


def test_a_kernel_without_figures_does_not_stop_a_scan(tmp_path):
    made, slept, _ = pace(tmp_path, "rubbish")
    assert made.go_on() and slept == []


def test_what_a_person_asked_for_does_not_wait(tmp_path):
    made, slept, _ = pace(tmp_path, "99.00", patient=False)
    assert made.go_on() and slept == []
