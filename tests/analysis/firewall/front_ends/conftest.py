"""One world for the tests of this folder, empty before each of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.analysis.firewall.front_ends.judging import Bench
from tests.analysis.firewall.front_ends.room import Room
from tests.analysis.firewall.kernel.topology import World


@pytest.fixture(scope="module")
def module_world() -> Iterator[World]:
    with World() as made:
        yield made


@pytest.fixture
def bench(module_world: World) -> Bench:
    made = Bench(module_world)
    made.load()
    return made


@pytest.fixture
def room(bench: Bench, tmp_path: Path) -> Iterator[Room]:
    with Room(bench.world, tmp_path) as made:
        yield made


@pytest.fixture
def fixture_text() -> Callable[[str], str]:
    folder = Path(__file__).parents[3] / "fixtures" / "firewall"
    return lambda name: (folder / name).read_text()
