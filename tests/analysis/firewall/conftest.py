"""One world of namespaces for each test file of this folder that asks for the kernel, empty before each of its tests."""

from collections.abc import Iterator

import pytest

from tests.analysis.firewall.front_ends.judging import Bench
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
