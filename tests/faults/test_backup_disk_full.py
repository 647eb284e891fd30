"""A disk fills in the middle of a backup: it is said which and what to do, what was there stays whole, and the next run completes it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import HOLDFAST, ROOT, Agent, Console
from tests.faults.small_disk import SmallDisk

FILES, EACH = 300, 128 << 10


@pytest.fixture
def agent(console: Console, tmp_path: Path) -> Iterator[Agent]:
    made = Agent(tmp_path, console)
    (tmp_path / "source").mkdir()
    (tmp_path / "source/first").write_bytes(os.urandom(4 << 20))
    off = "".join(f"  {name}: {{enabled: false}}\n" for name in ("firewall", "antivirus", "ports"))
    job = f"{{repository: {tmp_path}/target/repository, password: 'file:{tmp_path}/key', paths: [{tmp_path}/source]}}"
    made.configure(f"collectors:\n{off}backup: {{pressure: {{pause_at_most: 0s}}, jobs: {{system: {job}}}}}\n")
    made.enrol()
    yield made
    made.kill()


@pytest.fixture(params=["target", "agent-workers"])
def disk(agent: Agent, request: pytest.FixtureRequest) -> Iterator[SmallDisk]:
    """The one of the repository, or that on which the worker keeps what it knows of it."""
    made = SmallDisk(agent, request.param, 24)
    yield made
    made.close()


@pytest.mark.timeout(240)
def test_a_disk_that_fills_in_the_middle_of_a_backup(
    agent: Agent, console: Console, disk: SmallDisk, tmp_path: Path, until: Callable[..., None]
) -> None:
    def holdfast(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [*disk.inside, str(HOLDFAST), "backup", words[0], "-c", str(agent.config), *words[1:]]
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120)

    def told(kind: str) -> list[str]:
        with console.database() as db:
            return [text for (text,) in db.execute("SELECT text FROM events WHERE kind = ?", (kind,))]

    agent.start(*disk.inside, sys.executable, "-P", "-m", "agent.daemon", "-c", str(agent.config))
    until(lambda: agent.ask("status"), 60, agent.log)
    assert holdfast("init").returncode == 0
    first = holdfast("run")
    assert first.returncode == 0, first.stderr
    for number in range(FILES):
        (tmp_path / f"source/{number}").write_bytes(os.urandom(EACH))
    if disk.name == "agent-workers":
        disk.fill()
    full = holdfast("run")
    assert full.returncode == 1 and "No space left on device" in full.stderr and "make room there" in full.stderr
    assert str(agent.folder / disk.name) in full.stderr and "Traceback" not in full.stderr
    assert [path.name for path in disk.folder.rglob("*-tmp-*")] == [], "half a file is no use to anybody"
    disk.grow(128)
    disk.free()
    again = holdfast("run")
    assert again.returncode == 0 and "301 files" in again.stdout, again.stderr
    checked = holdfast("check", "--read-data")
    assert checked.returncode == 0 and "nothing wrong" in checked.stdout, checked.stdout + checked.stderr
    until(lambda: len(told("backup.finished")) == 2 and told("backup.failed"), 60, agent.log)
    (failed,) = told("backup.failed")
    assert str(agent.folder / disk.name) in failed and "make room there" in failed
