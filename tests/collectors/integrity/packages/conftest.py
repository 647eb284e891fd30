"""A signed repository below a temporary folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collectors.integrity.packages.repository import Made


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    repository = Made(tmp_path / "made", monkeypatch)
    yield repository
    repository.close()
