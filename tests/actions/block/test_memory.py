"""The room's memory: what is saved survives, bans are counted by the minute, watches give way, and our table is not read in vain."""

import threading
from pathlib import Path

import pytest

from actions.block.block import Block
from actions.block.memory import MAX_WATCHING, Memory, of
from actions.block.saved import Entry, Saved
from contracts.errors import Unavailable
from host.dry_run import DryRun
from host.linux import LinuxHost
from tests.actions.block.conftest import Net


@pytest.fixture
def host(tmp_path: Path) -> LinuxHost:
    made = LinuxHost()
    made.state = str(tmp_path)
    return made


def test_what_was_saved_is_there_after_a_restart(host: LinuxHost) -> None:
    memory, kept = Memory(host.state), Saved(bans={"192.0.2.1": Entry(since_ms=1)})
    memory.save(host, kept)
    assert memory.saved(host) == kept
    memory.flush(host)
    assert Memory(host.state).saved(host) == kept


def test_a_file_that_somebody_else_wrote_is_read_again(host: LinuxHost) -> None:
    mine, theirs = Memory(host.state), Memory(host.state)
    assert mine.saved(host) == Saved()
    theirs.save(host, Saved(begun_ms=9))
    theirs.flush(host)
    assert mine.saved(host).begun_ms == 9


def test_what_could_not_be_written_is_tried_again(host: LinuxHost, tmp_path: Path) -> None:
    memory = Memory(host.state)
    memory.save(host, Saved(begun_ms=3))
    host.state = memory.folder = str(tmp_path / "gone")
    with pytest.raises(Unavailable):
        memory.flush(host)
    (said,) = memory.unsaved(host)
    assert said.startswith("it is not saved and would not survive a reboot (")
    (tmp_path / "gone").mkdir()
    assert memory.unsaved(host) == []
    assert Memory(host.state).saved(host).begun_ms == 3


def test_a_dry_run_keeps_nothing(host: LinuxHost) -> None:
    memory, dry = Memory(host.state), DryRun(host)
    memory.save(dry, Saved(begun_ms=5))
    memory.flush(dry)
    assert memory.saved(host) == Saved() and dry.planned == []


def test_without_a_folder_the_process_remembers(host: LinuxHost) -> None:
    host.state = ""
    memory = Memory("")
    memory.save(host, Saved(begun_ms=5))
    memory.flush(host)
    assert memory.saved(host).begun_ms == 5


def test_a_minute_has_room_for_so_many_bans() -> None:
    memory = Memory("")
    assert [memory.may_ban(second, 3) for second in (0.0, 1.0, 2.0, 3.0, 59.9)] == [True, True, True, False, False]
    assert memory.may_ban(60.5, 3)


def test_the_cap_is_told_once_a_minute() -> None:
    memory = Memory("")
    assert [memory.may_tell(second) for second in (0.0, 1.0, 59.0, 60.0, 61.0)] == [True, False, False, True, False]


def test_one_watch_too_many_ends_the_oldest() -> None:
    memory = Memory("")
    with memory.watch() as first:
        others = [memory.watch() for _ in range(MAX_WATCHING)]
        entered = [other.__enter__() for other in others]
        assert first.is_set() and not any(one.is_set() for one in entered)
        for other in others:
            other.__exit__(None, None, None)
    with memory.watch() as later:
        assert not later.is_set()


def test_all_actions_of_one_folder_share_a_memory(host: LinuxHost) -> None:
    assert of(host) is of(DryRun(host))
    found: list[Memory] = []
    thread = threading.Thread(target=lambda: found.append(of(host)))
    thread.start()
    thread.join()
    assert found == [of(host)]


def test_our_table_is_read_again_only_after_somebody_else_changed_the_ruleset(
    net: Net, block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actions.block import hook

    looks: list[int] = []
    real = hook.look
    monkeypatch.setattr(hook, "look", lambda host: (looks.append(1), real(host))[1])
    net.act(block, address="203.0.113.1")
    before = len(looks)
    for number in (2, 3, 4):
        net.act(block, address=f"203.0.113.{number}")
    assert len(looks) == before
    net.host.run("nft", "add", "table", "inet", "somebody")
    net.act(block, address="203.0.113.5")
    assert len(looks) == before + 1
