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


@pytest.mark.parametrize(
    ("record", "daily", "bytecode"),
    [
        ("0.94.2:49:8931:1233238140:1:38:8930", None, None),
        ("0.98.7:55:20698:1437229740:1:63:42996:266", 20698, 266),
        ("0.100.2:58:25083:1541286540:1:63:47913:327", 25083, 327),
        ("0.103.8:62:26911:1684567740:1:90:49192:334", 26911, 334),
        ("1.0.8-rc:62:27529:1737643740:1:90:49192:335", 27529, 335),
    ],
)
def test_records_in_the_form_of_many_years_are_read_and_the_oldest_is_refused(record, daily, bytecode):
    """The form is that of freshclam's `dnsquery` (libfreshclam): eight fields, of which older records lack the last."""
    if daily is None:
        with pytest.raises(Malformed):
            freshclam.current(record)
    else:
        found = freshclam.current(record)
        assert (found.daily, found.bytecode) == (daily, bytecode)


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


def test_that_it_failed_is_said_only_where_nothing_says_why():
    log = (
        "WARNING: remote_cvdhead: Download failed (7) WARNING:  Message: Couldn't connect to server\n"
        "ERROR: check_for_new_database_version: Failed to find daily database using server https://mirror.\n"
        "ERROR: Update failed for database: daily\nERROR: Database update process failed: HTTP GET failed\n"
        "ERROR: Update failed.\n"
    )
    said = freshclam.trouble(log)
    assert "Failed to find daily database" in said and said.endswith("(Couldn't connect to server)")
    assert freshclam.trouble("ERROR: Update failed.\n") == "error: Update failed."
