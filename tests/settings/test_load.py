"""Files, their drop-ins over them, and where every value came from."""

import os
from pathlib import Path
from typing import Any

import pytest

from settings.errors import ConfigErrors
from settings.load import explain, load


@pytest.fixture
def main(tmp_path: Path) -> Path:
    path = tmp_path / "agent.yaml"
    path.write_text("name: main\ncollectors:\n  ports:\n    limit: 5\n    expected: [a, b]\n")
    (tmp_path / "agent.d").mkdir()
    return path


def drop(main: Path, name: str, text: str) -> None:
    (main.parent / "agent.d" / name).write_text(text)


def test_drop_ins_are_laid_over_in_name_order(main: Path, kind: Any) -> None:
    drop(main, "20-b.yaml", "name: b\n")
    drop(main, "10-a.yaml", "name: a\ncollectors:\n  ports:\n    expected: [c]\n    mode: fast\n")
    found = load(main, kind)
    assert found.name == "b"
    ports = found.collectors.ports
    assert (ports.limit, ports.expected, ports.mode) == (5, ("c",), "fast")


def test_every_value_knows_where_it_came_from(main: Path, kind: Any) -> None:
    drop(main, "10-a.yaml", "collectors:\n  ports:\n    mode: fast\n")
    loaded = explain(main, kind)
    mark = loaded.marks["collectors.ports.mode"]
    assert (Path(mark.file).name, mark.line, mark.column) == ("10-a.yaml", 3, 11)
    assert loaded.marks["collectors.ports.limit"].file == str(main)
    assert "collectors.ports.every" not in loaded.marks


def test_an_error_in_a_drop_in_points_into_it(main: Path, kind: Any) -> None:
    drop(main, "10-a.yaml", "collectors:\n  ports:\n    limit: x\n")
    with pytest.raises(ConfigErrors, match=r"agent\.d/10-a\.yaml:3:12: collectors\.ports\.limit: "):
        load(main, kind)


def test_broken_files_are_named_together(main: Path, kind: Any) -> None:
    drop(main, "10-a.yaml", "a: b: c\n")
    drop(main, "20-b.yaml", "- 1\n")
    drop(main, "30-c.yaml", "just text\n")
    with pytest.raises(ConfigErrors) as caught:
        load(main, kind)
    assert [Path(item.file).name for item in caught.value.items] == ["10-a.yaml", "20-b.yaml", "30-c.yaml"]


def test_hidden_and_left_over_files_are_passed_over(main: Path, kind: Any) -> None:
    for name in (".a.yaml", "a.yaml~", "b.yaml.dpkg-old", "README"):
        drop(main, name, "nonsense: [")
    assert load(main, kind).name == "main"


def test_a_file_that_would_be_overlooked_is_an_error(main: Path, kind: Any) -> None:
    drop(main, "x.yml", "name: x\n")
    with pytest.raises(ConfigErrors, match=r"x\.yml:1:1: is not read; rename it to x\.yaml"):
        load(main, kind)


def test_a_missing_file_says_what_would_do(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(
        ConfigErrors, match=r"nowhere\.yaml:1:1: cannot be read: no such file or directory; name another with -c"
    ):
        load(tmp_path / "nowhere.yaml", kind)


def test_a_folder_in_place_of_a_file_is_an_error(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(ConfigErrors, match="cannot be read: is a directory"):
        load(tmp_path, kind, tmp_path / "none")


def test_the_nearest_section_answers_for_a_setting_that_is_not_there(main: Path, kind: Any) -> None:
    assert explain(main, kind).error("collectors.ports.every", "x").line == 4


def test_a_pipe_is_refused_at_once_instead_of_waited_for(main: Path, kind: Any) -> None:
    os.mkfifo(main.parent / "agent.d" / "10-a.yaml")
    with pytest.raises(ConfigErrors, match=r"10-a\.yaml:1:1: is a pipe or socket, not a file"):
        load(main, kind)


def test_a_character_device_may_stand_for_an_empty_file(kind: Any) -> None:
    assert load(Path("/dev/null"), kind, Path("/nonexistent")) == kind()
