"""What is current, as DNS or a mirror says; and that nobody is believed who says something else."""

import pytest

from actions.antivirus import current
from contracts.errors import Unavailable
from host.fake import FakeHost
from tests.clamav_lab import Mirror, database


def test_the_record_of_the_makers_is_asked_for(tmp_path):
    host = FakeHost(tmp_path)
    host.records = {"current.cvd.clamav.net": ("v=spf1 -all", "0.103.12:62:27695:1751900000:0:90:49192:336")}
    known = current.by_dns(host)
    assert (known.version, known.source, known.announced_ms) == (27695, "dns", 1751900000000)
    host.records = {"current.cvd.clamav.net": ("something else",)}
    with pytest.raises(Unavailable, match="no record of versions"):
        current.by_dns(host)
    host.records = {}
    with pytest.raises(Unavailable):
        current.by_dns(host)


def test_a_mirror_is_asked_for_a_header_alone(tmp_path):
    (tmp_path / "daily.cvd").write_bytes(database(27700))
    mirror = Mirror(tmp_path)
    try:
        known = current.by_mirror(mirror.url)
        assert (known.version, known.source) == (27700, "mirror") and mirror.asked == ["/daily.cvd"]
        (tmp_path / "daily.cvd").write_bytes(b"<html>")
        with pytest.raises(Unavailable, match="does not say what is current"):
            current.by_mirror(mirror.url)
        mirror.status = 500
        with pytest.raises(Unavailable, match="500"):
            current.by_mirror(mirror.url)
    finally:
        mirror.close()
    with pytest.raises(Unavailable):
        current.by_mirror("http://127.0.0.1:9")
