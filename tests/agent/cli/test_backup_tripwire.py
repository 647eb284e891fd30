"""`holdfast backup acknowledge|canary`, and what the commands of retention learn from the worker's memory."""

from pathlib import Path

import msgspec
import pytest

from actions.backup.tripwire.book import Book, Suspicion
from agent.cli import backup_keep
from tests.agent.cli.backup_home import Home, home

__all__ = ["home"]


@pytest.fixture
def suspected(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(backup_keep, "RECOVERY_STATES", home.folder / "keys" / "recovery.json")
    home.config.write_text(f"directories: {{state: {home.folder}/agent}}\n{home.config.read_text()}")
    (home.folder / "agent-workers" / "backup").mkdir(parents=True)
    standing = Suspicion(since_ns=1, snapshot=home.ids[1], says=("much is gone",), good=(home.ids[0],))
    path = home.folder / "agent-workers" / "backup" / "etc.tripwire.json"
    path.write_bytes(msgspec.json.encode(Book(standing=standing)))
    return home


@pytest.mark.parametrize(
    "words",
    [
        ("forget", "--keep-last", "1"),
        ("forget", "--keep-last", "1", "--even-when-held"),
        ("forget", "--keep-last", "1", "--prune"),
        ("prune",),
    ],
)
def test_while_something_is_suspected_nothing_is_removed(suspected: Home, words: tuple[str, ...]) -> None:
    said = suspected.call(*words)
    assert (said.code, "much is gone" in said.err) == (1, True)
    assert len(list(suspected.repository.snapshots())) == 2


def test_the_last_good_snapshot_stays_and_a_bad_one_may_go(suspected: Home) -> None:
    said = suspected.call("forget", suspected.ids[0])
    assert (said.code, "the last good snapshot" in said.err) == (1, True)
    assert suspected.call("forget", suspected.ids[1]).code == 0
    assert suspected.call("prune", "--dry-run").code == 0, "looking is allowed"


def test_without_an_agent_it_is_said_and_no_canary_is_left_behind(home: Home, tmp_path: Path) -> None:
    socket = tmp_path / "nowhere.sock"
    assert home.call("acknowledge", "--why", "x", "--socket", socket).code == 69
    assert home.call("canary plant", "--socket", socket, home.source).code == 69
    assert sorted(path.name for path in home.source.iterdir()) == ["folder", "one"]
    assert home.call("acknowledge", "--socket", socket).code == 2, "a reason is asked for"
