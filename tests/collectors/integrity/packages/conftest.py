"""A signed repository, and a world of rpm, below a temporary folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collectors.integrity.packages.repository import Made
from tests.collectors.integrity.packages.rpms import Rpms


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    repository = Made(tmp_path / "made", monkeypatch)
    yield repository
    repository.close()


@pytest.fixture
def rpms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rpms]:
    world = Rpms(tmp_path / "rpms", monkeypatch)
    yield world
    world.close()
