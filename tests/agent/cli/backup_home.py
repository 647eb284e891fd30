"""A configuration with one backup job and its repository, made with cheap keys, and the command line run in this process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from actions.backup.archiver import Archiver
from actions.backup.crypto import ScryptParameters
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from agent import command

PASSWORD = "correct horse"
CHEAP = ScryptParameters(1024, 8, 1)


class Said(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Home:
    """Files, a job, and two snapshots of them; `call` runs `holdfast backup`."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capfd = folder, capfd
        self.place = folder / "repository"
        self.source = folder / "source"
        self.config = folder / "agent.yaml"
        self.password = folder / "keys" / "etc"
        self.password.parent.mkdir(mode=0o700)
        self.password.write_text(PASSWORD + "\n")
        (self.source / "folder").mkdir(parents=True)
        (self.source / "one").write_text("first")
        (self.source / "folder" / "two").write_text("second")
        self.configure()
        self.repository = Repository.create(LocalStore(self.place), PASSWORD, cost=CHEAP)
        self.ids = [self.save()]
        (self.source / "one").write_text("changed")
        self.ids.append(self.save())

    def configure(self, more: str = "") -> None:
        job = f"{{repository: {self.place}, password: 'file:{self.password}', paths: [{self.source}]{more}}}"
        self.config.write_text(f"backup: {{jobs: {{etc: {job}}}}}\n")

    def save(self) -> str:
        self.repository.load_index()
        return Archiver(self.repository).snapshot([str(self.source)], hostname="here", tags=["etc"])[0]

    def call(self, verb: str, *words: object, bare: bool = False) -> Said:
        """Run a command with the configuration, or `bare` without; nothing it says may be a traceback."""
        self._capfd.readouterr()
        verbs = verb.split()
        given = [] if bare else ["-c", str(self.config)]
        code = command.run(["backup", *verbs, *given, *map(str, words)])
        said = self._capfd.readouterr()
        assert "Traceback" not in said.err
        return Said(code, said.out, said.err)


@pytest.fixture
def home(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    for name in ("RESTIC_REPOSITORY", "RESTIC_PASSWORD", "RESTIC_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    yield Home(tmp_path, capfd)
