"""What is not there is nothing; what could not be looked at is noted."""

from pathlib import Path

from collectors.holdings.reading import Reading
from host.fake import FakeHost


def test_absent_is_nothing_and_denied_is_noted(tmp_path: Path) -> None:
    (tmp_path / "files" / "full" / "inside").mkdir(parents=True)
    (tmp_path / "files" / "full" / "inside" / "x").write_text("text")
    (tmp_path / "files" / "full" / "empty").mkdir()
    reading = Reading(FakeHost(tmp_path), "places")
    assert (reading.names("/none"), reading.text("/none"), reading.stat("/none")) == ([], "", None)
    assert reading.blind == []
    assert list(reading.folders("/full")) == ["/full/inside"]
    assert (reading.is_dir("/full"), reading.is_file("/full"), reading.is_file("/full/inside/x")) == (True, False, True)
    reading.host.files.denied |= {"/full", "/secret"}  # type: ignore[attr-defined]
    assert (reading.names("/full"), reading.text("/secret")) == ([], "")
    assert [blind.detail for blind in reading.blind] == ["/full may not be read", "/secret may not be read"]
