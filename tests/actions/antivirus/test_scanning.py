"""What a scan notes of what it did not look at."""

from actions.antivirus.scanning import NAMED, Tally


def test_reasons_are_counted_and_some_paths_named():
    tally = Tally()
    for number in range(NAMED + 5):
        tally.miss(b"/f%d\xff" % number, "permission denied")
    tally.miss(b"/other", "another filesystem", failed=False)
    assert tally.unscanned == NAMED + 6 and tally.failed and len(tally.named) == NAMED
    assert tally.named[0] == "/f0\\xff: permission denied"


def test_what_is_left_out_on_purpose_is_no_failure():
    tally = Tally()
    tally.miss(b"/other", "another filesystem", failed=False)
    assert not tally.failed and tally.unscanned == 1
