"""A cheap key cost, a repository to play in, and the stock restic as the judge."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actions.backup.crypto import ScryptParameters
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore

PASSWORD = "correct horse"
CHEAP = ScryptParameters(1024, 8, 1)

Restic = Callable[..., subprocess.CompletedProcess[bytes]]


def flip(path: Path, position: int | None = None, bit: int = 0) -> None:
    """Flip a bit of one byte of a file, the middle one unless told; in place: what replaces a file ext4 puts on the disk at once."""
    path.chmod(0o600)
    with path.open("r+b") as file:
        at = path.stat().st_size // 2 if position is None else position
        (byte,) = os.pread(file.fileno(), 1, at)
        os.pwrite(file.fileno(), bytes((byte ^ 1 << bit,)), at)


@pytest.fixture
def cut_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every repository cuts files in the same places: by a polynomial of its own one in a hundred makes four blobs of twelve megabytes."""
    monkeypatch.setattr("actions.backup.config.random_irreducible", lambda: 0x3DA3358B4DC173)


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def entered() -> Iterator[Path]:
    """A folder that every user may enter: pytest's own is closed anew by any other run of pytest that begins meanwhile."""
    with tempfile.TemporaryDirectory(prefix="holdfast-entered-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "repository"


@pytest.fixture
def repository(where: Path) -> Repository:
    return Repository.create(LocalStore(where), PASSWORD, cost=CHEAP)


@pytest.fixture
def restic(where: Path, tmp_path: Path) -> Restic:
    """Run the stock restic on the repository; it must succeed unless `code` says otherwise."""

    def run(*words: str | Path, code: int | None = 0, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        environment = {
            **os.environ,
            "RESTIC_PASSWORD": PASSWORD,
            "RESTIC_CACHE_DIR": str(tmp_path / "cache"),
            "TMPDIR": str(tmp_path),
        }
        done = subprocess.run(
            ["restic", "-r", where, "--no-cache", *words],
            env=environment,
            input=stdin,
            capture_output=True,
            check=False,
        )
        assert code is None or done.returncode == code, (words, done.stdout, done.stderr)
        return done

    return run
