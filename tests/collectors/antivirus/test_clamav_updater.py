"""What freshclam left behind."""

import struct
import time


def test_a_cool_down_a_complaint_and_a_missing_process_are_read(look, lab):
    lab.freshclam_conf.write_text(f"DatabaseDirectory {lab.databases}\nUpdateLogFile {lab.log}\n")
    lab.log.write_text("ERROR: Sun Nov 22 07:57:27 2026 -> Can't download daily.cvd from database.clamav.net\n")
    until = int(time.time()) + 7200
    (lab.databases / "freshclam.dat").write_bytes(b"FreshClamData" + struct.pack("<I37s7xq", 1, b"u", until))
    updater = look().updater
    assert updater.retry_after_ms == until * 1000 and "Can't download" in updater.trouble
    assert updater.state in ("stopped", "running", "scheduled") and updater.waked_ms
    (lab.databases / "freshclam.dat").write_bytes(b"something else")
    assert "not in a form" in look().updater.detail
