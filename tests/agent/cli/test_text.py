"""Times, sizes and tables as people read them."""

import json

import pytest

from agent.cli import text


@pytest.mark.parametrize(("seconds", "said"), [(0, "0 s"), (59, "59 s"), (90, "2 min"), (7200, "2 h"), (200000, "2 d")])
def test_spans(seconds: float, said: str) -> None:
    assert text.span(seconds) == said


def test_ago_knows_never_and_the_future() -> None:
    assert text.ago(0) == "never"
    assert text.ago(1000, 61_000) == "1 min ago"
    assert text.ago(61_000, 1000) == "in 1 min"


@pytest.mark.parametrize(("count", "said"), [(0, "0 B"), (2048, "2 KiB"), (5 << 20, "5 MiB"), (3 << 30, "3.0 GiB")])
def test_sizes(count: int, said: str) -> None:
    assert text.size(count) == said


def test_columns_are_as_wide_as_they_need_and_numbers_stand_right() -> None:
    assert list(text.table([["ports", "5"], ["a", "1000"]], ["name", "runs"])) == [
        "name   runs",
        "ports     5",
        "a      1000",
    ]
    assert list(text.table([], ["name"])) == []


def test_json_holds_nothing_that_drives_a_terminal() -> None:
    hostile = {"name": "a\x1b[2J\x9b31m\u202eb"}
    said = text.to_json(hostile)
    assert said.isascii() and said.isprintable()
    assert json.loads(said) == hostile
