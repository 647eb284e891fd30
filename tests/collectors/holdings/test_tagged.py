"""Tags are found in every directory that holds a thing, as the archiver would find them, and what could not be looked at is noted."""

from pathlib import Path

import pytest

from analysis.excludes import CACHE_TAG
from collectors.holdings.collector import HoldingsCollector
from collectors.holdings.options import Options
from collectors.holdings.reading import Reading
from collectors.holdings.tagged import Tagged
from contracts.snapshot import Snapshot
from contracts.subjects.holdings import Holding
from host.fake import FakeHost


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    (tmp_path / "files/srv/shop/data").mkdir(parents=True)
    (tmp_path / "files/srv/shop/data/x.db").write_bytes(b"x" * 5000)
    (tmp_path / "files/srv/.nobackup").write_text("")
    (tmp_path / "files/srv/shop/CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n# of a shop")
    return FakeHost(tmp_path)


def held(path: str) -> Holding:
    return Holding(part="places", kind="data", name=path, path=path)


def test_the_tags_of_every_directory_on_the_way_and_the_size_of_a_file(host: FakeHost) -> None:
    tagged = Tagged(Reading(host, "places"), (".nobackup", "none"))
    both = (("/srv", ".nobackup"), ("/srv/shop", CACHE_TAG))
    assert (tagged.on(held("/srv/shop")).tags, tagged.on(held("/srv/shop")).size) == (both, 0)
    assert (tagged.on(held("/srv/shop/data/x.db")).tags, tagged.on(held("/srv/shop/data/x.db")).size) == (both, 5000)
    assert tagged.on(held("/srv")).tags == (("/srv", ".nobackup"),)
    assert tagged.on(held("/gone")) == held("/gone")
    assert tagged.on(held("")) == held("")


def test_a_tag_counts_by_how_it_begins(host: FakeHost, tmp_path: Path) -> None:
    (tmp_path / "files/srv/shop/CACHEDIR.TAG").write_text("no signature")
    (tmp_path / "files/srv/shop/skip").write_text("yes, skip it")
    tagged = Tagged(Reading(host, "places"), ("skip:yes", "skip:no"))
    assert tagged.on(held("/srv/shop")).tags == (("/srv/shop", "skip:yes"),)


def test_what_may_not_be_read_is_noted(host: FakeHost) -> None:
    host.files.denied |= {"/srv/shop/CACHEDIR.TAG"}
    reading = Reading(host, "places")
    assert Tagged(reading, ()).on(held("/srv/shop")).tags == ()
    assert [blind.detail for blind in reading.blind] == ["/srv/shop/CACHEDIR.TAG may not be read"]


def test_the_collector_looks_for_the_tags_it_is_told_of(host: FakeHost) -> None:
    report = HoldingsCollector(Options(tags=(".nobackup",))).collect(host, Snapshot(subject="holdings", rows={}))
    assert report.changes.put["places data /srv/shop"].tags[0] == ("/srv", ".nobackup")
    with pytest.raises(ValueError, match='tags: "a/b" names no file'):
        Options(tags=("a/b",))
