"""The disk fills in the middle of a first baseline, and while files are watched: it is said, nothing is lost, and it goes on by itself."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import HOLDFAST, Agent, Console
from tests.faults.small_disk import SmallDisk

FOLDERS, FILES = 150, 200
BEGINNING = 320 << 10
"""The bytes that there are for their first baseline, which takes several times as many."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in range(FOLDERS):
        (tmp_path / f"tree/d{folder}").mkdir(parents=True)
        for number in range(FILES):
            (tmp_path / f"tree/d{folder}/{number}").touch()
    return tmp_path / "tree"


@pytest.fixture
def agent(console: Console, tree: Path, tmp_path: Path) -> Iterator[Agent]:
    made = Agent(tmp_path, console)
    made.configure(
        "collectors:\n  firewall: {enabled: false}\n  antivirus: {enabled: false}\n"
        f"  integrity: {{enabled: true, profiles: [], pace: {{io: 100, cpu: 100}}, watch: {{test: {{paths: [{tree}]}}}}}}\n"
    )
    yield made
    made.kill()


@pytest.fixture
def disk(agent: Agent, console: Console) -> Iterator[SmallDisk]:
    made = SmallDisk(agent, "agent-workers", 24)
    try:
        enrol = [str(HOLDFAST), "enroll", f"https://127.0.0.1:{console.agents}", "--token", console.token()]
        subprocess.run([*made.inside, *enrol, "-c", str(agent.config)], check=True, capture_output=True)
        yield made
    finally:
        made.close()


@pytest.mark.timeout(900)
def test_a_disk_that_fills_in_a_first_baseline_and_while_files_are_watched(
    agent: Agent, console: Console, disk: SmallDisk, tree: Path, until: Callable[..., None]
) -> None:
    def told(kind: str, text: str = "") -> int:
        with console.database() as db:
            query = "SELECT count(*) FROM events WHERE kind = ? AND text LIKE ?"
            return int(db.execute(query, (kind, f"%{text}%")).fetchone()[0])

    def unseen() -> str:
        """What the agent says of its sight of files, "" while it sees all but later mounts: here its view of them is its own."""
        sights = (agent.ask("coverage") or {"sights": []})["sights"]
        found = [sight for sight in sights if sight["subject"] == "integrity" and sight["state"] != "seen"]
        known = [
            sight
            for sight in found
            if [spot["what"].split(" over ")[0] for spot in sight["blind"]] == ["what is mounted"]
        ]
        return str([sight for sight in found if sight not in known] or "")

    def why() -> str:
        return (
            f"{unseen()}, {[(str(path)[-40:], path.stat().st_size) for path in disk.folder.rglob('*')]}, {agent.log()}"
        )

    disk.leave(BEGINNING)  # too little for all the files, however fast the one or slow the other is
    agent.start(*disk.inside, sys.executable, "-P", "-m", "agent.daemon", "-c", str(agent.config))
    until(lambda: "no room" in unseen(), 60, why)
    assert any(path.stat().st_size > BEGINNING / 2 for path in disk.folder.rglob("integrity.db-wal")), why()
    disk.fill()
    until(lambda: "no room" in unseen(), 60, why)
    assert not told("integrity.baseline_made"), "it was not in the middle"
    assert str(agent.folder) in unseen() and "Free space" in unseen()
    disk.free()
    until(lambda: told("integrity.baseline_made"), 120, why)
    until(lambda: not unseen(), 60, why)

    (tree / "d0/0").write_text("seen")
    until(lambda: told("integrity.modified", f"{tree}/d0/0"), 60, why)
    disk.fill()
    for number in range(50):
        (tree / f"d1/{number}").rename(tree / f"d1/was{number}")
    until(unseen, 60, why)
    disk.free()
    until(lambda: told("integrity.many_changed", f"{tree}/d1") or told("integrity.renamed") >= 50, 120, why)
    until(lambda: not unseen(), 60, why)
    status = agent.ask("status")
    assert sum(int(lane["lost"]) for lane in status["lanes"]) == 0
    assert not list(disk.folder.rglob("*.damaged*"))
