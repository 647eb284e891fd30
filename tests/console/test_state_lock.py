"""Two consoles never work on one database."""

import os
from pathlib import Path
from typing import Any

import pytest

from console.state_lock import NAME, AlreadyRuns, held
from contracts.errors import HoldfastError


def test_a_second_console_is_refused_and_the_first_goes_on(run_console: Any, console_settings: Any) -> None:
    first = run_console(console_settings)
    with pytest.raises(AlreadyRuns, match="another console runs on") as caught:
        run_console(console_settings)
    assert caught.value.exit_code == 73
    assert first.do(first.parts.store.health()).kind == "sqlite"


def test_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    for _ in range(2):
        with held(tmp_path), pytest.raises(AlreadyRuns), held(tmp_path):
            pass
    assert (tmp_path / NAME).stat().st_mode & 0o077 == 0


def test_a_lock_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(HoldfastError, match="cannot be opened"), held(tmp_path):
        raise AssertionError(os.listdir(tmp_path))
