"""What freshclam leaves behind is read, or refused; never guessed."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.antivirus import freshclam
from contracts.errors import Malformed

DAT = b"FreshClamData" + struct.pack("<I37s7xq", 1, b"1c788b1-893f-4a1b", 1_800_000_000) + bytes(21)


def test_the_cool_down_is_read():
    assert freshclam.retry_after_ms(DAT) == 1_800_000_000_000
    assert freshclam.retry_after_ms(DAT.replace(struct.pack("<q", 1_800_000_000), bytes(8))) == 0


@pytest.mark.parametrize(
    "wrong", [b"", DAT[:40], DAT.replace(b"Fresh", b"Stale"), DAT.replace(b"Data\x01", b"Data\x02")]
)
def test_another_form_is_refused(wrong):
    with pytest.raises(Malformed):
        freshclam.retry_after_ms(wrong)


def test_the_record_of_versions_is_read():
    current = freshclam.current("0.103.12:62:27695:1751900000:0:90:49192:336")
    assert (current.main, current.daily, current.bytecode, current.at_ms) == (62, 27695, 336, 1751900000000)


@given(st.text(max_size=120))
def test_any_text_is_a_record_or_malformed(text):
    try:
        freshclam.current(text)
    except Malformed:
        return


def test_the_last_complaint_counts_until_a_run_succeeds():
    log = (
        "Sun Nov 22 07:57:27 2026 -> ClamAV update process started\n"
        "WARNING: Sun Nov 22 07:57:27 2026 -> Can't query current.cvd.clamav.net\n"
        "ERROR: Sun Nov 22 07:57:27 2026 -> Can't download daily.cvd\n"
    )
    assert freshclam.trouble(log) == "error: Can't download daily.cvd"
    assert freshclam.trouble(f"{log}Sun Nov 22 08:57:27 2026 -> daily.cld updated (version: 27695, sigs: 2)\n") == ""
    assert freshclam.trouble(f"{log}ERROR: a\x1b[31mb\n") == "error: a?[31mb"
