"""What the agent tells of a backup, in one line."""

from agent.cli.backup_told import progress_line


def test_progress_is_one_line_that_cannot_drive_the_terminal() -> None:
    line = progress_line({"done": 2048.0, "total": 4096.0, "unit": "bytes", "what": "3 files\x1b[2J"})
    assert line.startswith("2 KiB of about 4 KiB, 3 files")
    assert "\x1b" not in line
    assert progress_line({"done": 1.0, "total": 0.0, "what": "x"}) == "1 B, x"
