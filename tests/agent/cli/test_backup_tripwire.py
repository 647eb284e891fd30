"""`holdfast backup acknowledge|canary`, and what the commands of retention learn from the worker's memory."""

from pathlib import Path

import msgspec
import pytest

from actions.backup.archiver import Archiver
from actions.backup.memory import Memory
from actions.backup.tripwire.book import Book, Suspicion
from agent import wiring
from agent.cli import backup_keep
from tests.agent.cli.backup_home import Home, home

__all__ = ["home"]
HOSTNAME = wiring.host().facts().hostname


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


def test_nothing_is_removed_while_the_newest_snapshot_is_not_proved(home: Home) -> None:
    home.config.write_text(f"directories: {{state: {home.folder}/agent}}\n{home.config.read_text()}")
    folder = home.folder / "agent-workers" / "backup"
    folder.mkdir(parents=True)
    home.ids.append(Archiver(home.repository).snapshot([str(home.source)], hostname=HOSTNAME, tags=["etc"])[0])
    older = Archiver(home.repository).snapshot([str(home.source)], hostname=HOSTNAME, tags=["etc"], time_ns=10**18)[0]
    assert home.call("forget", "--keep-last", "5").code == 0, "nobody has kept account of proofs"

    memory = folder / "etc.json"
    memory.write_bytes(msgspec.json.encode(Memory(proved={older: 1})))
    for words in (("forget", "--keep-last", "1"), ("forget", "--keep-last", "1", "--prune"), ("prune",)):
        said = home.call(*words)
        assert (said.code, "not proved to restore" in said.err, home.ids[-1][:8] in said.err) == (1, True, True), said
    assert home.call("prune", "--dry-run").code == 0
    assert home.call("prune", "--even-when-held").code == 0
    assert len(list(home.repository.snapshots())) == 4

    memory.write_bytes(msgspec.json.encode(Memory(proved={home.ids[-1]: 1})))
    assert home.call("forget", "--keep-last", "1", "--prune").code == 0
    assert older not in dict(home.repository.snapshots())


def test_without_an_agent_it_is_said_and_no_canary_is_left_behind(home: Home, tmp_path: Path) -> None:
    socket = tmp_path / "nowhere.sock"
    assert home.call("acknowledge", "--why", "x", "--socket", socket).code == 69
    assert home.call("canary plant", "--socket", socket, home.source).code == 69
    assert sorted(path.name for path in home.source.iterdir()) == ["folder", "one"]
    assert home.call("acknowledge", "--socket", socket).code == 2, "a reason is asked for"
