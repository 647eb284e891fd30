"""A room for a front end, and what the fixtures say."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.analysis.firewall.front_ends.judging import Bench
from tests.analysis.firewall.front_ends.room import Room


@pytest.fixture
def room(bench: Bench, tmp_path: Path) -> Iterator[Room]:
    with Room(bench.world, tmp_path) as made:
        yield made


@pytest.fixture
def fixture_text() -> Callable[[str], str]:
    folder = Path(__file__).parents[3] / "fixtures" / "firewall"
    return lambda name: (folder / name).read_text()
