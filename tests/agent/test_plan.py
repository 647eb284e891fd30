"""The plan comes whole from the child, or what is wrong with the configuration does."""

from pathlib import Path

import msgspec
import pytest

from agent import plan, wiring
from settings.errors import ConfigErrors


def test_the_child_gives_what_the_composition_root_makes(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("rules: [{when: 'ports.*', do: notify, with: {channel: admins}, match: {port: {below: 1024}}}]\n")
    assert plan.make(file) == wiring.plan(file)


def test_errors_come_with_their_positions(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("heartbeat:\n  every: 30\n")
    with pytest.raises(ConfigErrors, match=r"agent.yaml:2:10: heartbeat.every"):
        plan.make(file)


def test_a_child_that_breaks_is_a_sentence() -> None:
    with pytest.raises(plan.PlannerFailed, match="broke: MemoryError"):
        plan.decode(b"", b"Traceback\nMemoryError\n")
    with pytest.raises(plan.PlannerFailed, match="no answer"):
        plan.decode(msgspec.msgpack.encode(plan.Answer()), b"")


def test_a_changed_added_or_removed_file_changes_the_signature(tmp_path: Path) -> None:
    file, drop = tmp_path / "agent.yaml", tmp_path / "agent.d"
    file.write_text("{}")
    seen = [plan.signature(file)]
    drop.mkdir()
    (drop / "a.yaml").write_text("{}")
    seen.append(plan.signature(file))
    (drop / "a.yaml").write_text("{ }")
    seen.append(plan.signature(file))
    (drop / "a.yaml").unlink()
    assert len(set(seen)) == 3
    assert plan.signature(file) == seen[0]
