"""What is saved comes back, what is over goes, and a file that is not ours is never read as an empty one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.block import saved
from actions.block.saved import Entry, Offences, Saved
from contracts.errors import Unavailable, Why
from host.linux import LinuxHost

ENTRY = st.builds(
    Entry, since_ms=st.integers(0, 1 << 50), until_ms=st.integers(0, 1 << 50), who=st.text(), reason=st.text()
)


@given(st.dictionaries(st.text(), ENTRY, max_size=4), st.booleans())
def test_everything_is_read_back(bans: dict[str, Entry], reject: bool) -> None:
    import msgspec

    kept = Saved(begun_ms=7, bans=bans, reject=reject, offences={"x": Offences(count=1, last_ms=2)})
    assert saved.decode(msgspec.json.encode(kept)) == kept


def test_a_file_is_written_and_read(tmp_path: Path) -> None:
    host = LinuxHost()
    assert saved.read(host, str(tmp_path)) == Saved()
    kept = Saved(bans={"192.0.2.1": Entry(since_ms=1)})
    saved.write(host, str(tmp_path), kept)
    assert saved.read(host, str(tmp_path)) == kept
    assert (tmp_path / "bans.json").stat().st_mode & 0o777 == 0o600


def test_without_a_folder_nothing_is_written() -> None:
    saved.write(LinuxHost(), "", Saved())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 9}', b'{"bans": {"x": {}}}', b"\0" * 100])
def test_a_damaged_file_is_named_and_not_taken_for_an_empty_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bans.json").write_bytes(content)
    with pytest.raises(Unavailable, match=r"bans\.json is not what Holdfast wrote") as failure:
        saved.read(LinuxHost(), str(tmp_path))
    assert failure.value.why is Why.MALFORMED


def test_what_is_over_goes() -> None:
    entries = {"a": Entry(since_ms=1, until_ms=5), "b": Entry(since_ms=1), "c": Entry(since_ms=1, until_ms=50)}
    offences = {"old": Offences(count=1, last_ms=1), "new": Offences(count=1, last_ms=9)}
    kept = saved.pruned(Saved(bans=entries, offences=offences), 10, 5)
    assert (set(kept.bans), set(kept.offences)) == ({"b", "c"}, {"new"})


@given(st.integers(0, 1 << 42), st.integers(1, 1 << 40), st.integers(0, 1 << 43))
def test_what_is_left_is_never_more_than_there_was_whatever_the_clock_says(since: int, lasts: int, now: int) -> None:
    entry = Entry(since_ms=since, until_ms=since + lasts)
    assert 1 <= entry.left_ms(now) <= lasts
    if since <= now < since + lasts:
        assert entry.left_ms(now) == since + lasts - now


def test_what_is_for_good_has_no_time_left() -> None:
    assert Entry(since_ms=1).left_ms(5) == 0
