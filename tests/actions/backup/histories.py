"""Repositories with a past, for tests that prune and repair: several snapshots that share some of their files."""

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actions.backup.archiver import Archiver
from actions.backup.checker import Checker
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from tests.actions.backup.conftest import PASSWORD

NS = 10**9
NOW = 1_795_000_000


@contextmanager
def quiet_place() -> Iterator[Path]:
    """A directory below /, so that no other process touches a directory on the way to it: trees come out the same again."""
    place = Path(tempfile.mkdtemp(prefix="hfrepair", dir="/"))
    try:
        yield place / "tree"
    finally:
        shutil.rmtree(place)


def change(root: Path, dice: random.Random) -> None:
    """Add, change and remove some files, small ones and one that is cut into several blobs."""
    root.mkdir(exist_ok=True)
    for _ in range(12):
        folder = root / f"d{dice.randrange(4)}"
        folder.mkdir(exist_ok=True)
        file = folder / f"f{dice.randrange(8)}"
        if file.exists() and dice.random() < 0.3:
            file.unlink()
        else:
            file.write_bytes(dice.randbytes(dice.randrange(1, 40_000)) + bytes(dice.randrange(3_000)))
    (root / "big").write_bytes(dice.randbytes(1 << 20) + bytes(300_000) + dice.randbytes(200_000))


def save(where: Path, root: Path, number: int, *, host: str = "here") -> str:
    """One more snapshot by us, a day after the one before."""
    repository = Repository.open(LocalStore(where), PASSWORD)
    with repository.lock():
        repository.load_index()
        time_ns = (NOW + number * 86400) * NS
        return Archiver(repository).snapshot([str(root)], hostname=host, time_ns=time_ns)[0]


def whole(where: Path) -> set[str]:
    """The snapshots, after every byte was read and found right and every file found there."""
    repository = Repository.open(LocalStore(where), PASSWORD)
    checked = Checker(repository, read_data=True).check()
    assert (checked.problems, checked.losses) == ([], []), (checked.problems, checked.losses)
    return {id for id, _ in repository.snapshots()}
