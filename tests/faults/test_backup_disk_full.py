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


class Bench:
    """An agent on a small disk with a job of FILES files, all but the first of which come after a first good run."""

    def __init__(self, agent: Agent, console: Console, disk: SmallDisk, source: Path) -> None:
        self.agent, self.console, self.disk, self.source = agent, console, disk, source

    def holdfast(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [*self.disk.inside, str(HOLDFAST), "backup", words[0], "-c", str(self.agent.config), *words[1:]]
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300)

    def told(self, kind: str) -> list[str]:
        with self.console.database() as db:
            return [text for (text,) in db.execute("SELECT text FROM events WHERE kind = ?", (kind,))]

    def begin(self, until: Callable[..., None]) -> None:
        """Start the agent, back up the first file, and lay down all the others."""
        self.agent.start(*self.disk.inside, sys.executable, "-P", "-m", "agent.daemon", "-c", str(self.agent.config))
        until(lambda: self.agent.ask("status"), 60, self.agent.log)
        assert self.holdfast("init").returncode == 0
        first = self.holdfast("run")
        assert first.returncode == 0, first.stderr
        for number in range(FILES):
            (self.source / str(number)).write_bytes(os.urandom(EACH))

    def finish(self) -> None:
        """With room again, the next run saves every file and the whole repository reads well."""
        self.disk.grow(128)
        self.disk.free()
        again = self.holdfast("run")
        assert again.returncode == 0 and "301 files" in again.stdout and "No space" not in again.stdout, again.stderr
        checked = self.holdfast("check", "--read-data")
        assert checked.returncode == 0 and "nothing wrong" in checked.stdout, checked.stdout + checked.stderr


@pytest.fixture
def bench(agent: Agent, console: Console, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    disk = SmallDisk(agent, request.param, 24)
    yield Bench(agent, console, disk, tmp_path / "source")
    disk.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("bench", ["target"], indirect=True)
def test_a_repository_whose_disk_fills_in_the_middle_of_a_backup(bench: Bench, until: Callable[..., None]) -> None:
    bench.begin(until)
    full = bench.holdfast("run")
    place = str(bench.agent.folder / "target")
    assert full.returncode == 1 and "No space left on device" in full.stderr and "make room there" in full.stderr
    assert place in full.stderr and "Traceback" not in full.stderr
    assert [path.name for path in bench.disk.folder.rglob("*-tmp-*")] == [], "half a file is no use to anybody"
    bench.finish()
    until(lambda: len(bench.told("backup.finished")) == 2 and bench.told("backup.failed"), 60, bench.agent.log)
    (failed,) = bench.told("backup.failed")
    assert place in failed and "make room there" in failed


@pytest.mark.timeout(900)
@pytest.mark.parametrize("bench", ["agent-workers"], indirect=True)
def test_a_full_disk_of_the_worker_takes_its_memory_of_a_run_not_the_run(
    bench: Bench, until: Callable[..., None]
) -> None:
    bench.begin(until)
    bench.disk.fill()
    full = bench.holdfast("run")
    place = str(bench.agent.folder / "agent-workers")
    assert full.returncode == 0 and "301 files" in full.stdout, full.stdout + full.stderr
    assert "No space left on device" in full.stdout and "make room there" in full.stdout and place in full.stdout
    assert "Traceback" not in full.stdout + full.stderr
    until(lambda: len(bench.told("backup.finished")) == 2, 60, bench.agent.log)
    until(lambda: any(place in text for text in bench.told("backup.upkeep_failed")), 60, bench.agent.log)
    bench.finish()
    until(lambda: len(bench.told("backup.finished")) == 3, 60, bench.agent.log)
    assert bench.told("backup.failed") == [], "every run saved all there was"
