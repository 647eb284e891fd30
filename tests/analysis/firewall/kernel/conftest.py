"""One world of namespaces for all tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.analysis.firewall.kernel.probing import Prober
from tests.analysis.firewall.kernel.topology import World


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    with World() as made:
        yield made


@pytest.fixture(scope="session")
def prober(world: World) -> Prober:
    return Prober(world)
