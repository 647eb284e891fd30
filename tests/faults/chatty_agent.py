"""A real core with a real worker that never stops talking; run by `test_nothing_lost.py` as a process to kill.

usage: python chatty_agent.py CONFIG [quiet]   (quiet: report what is spooled, count no further)

The worker's collector counts: its one row holds a number; every look raises it by `STEP` and states an event for each number, in
turn in all three lanes. So what the console holds in the end must be exactly 1 to N: a lost look leaves a hole, a repeated one a double.
"""

import os
import sys
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from agent import kernel, plan, start
from agent.clock import SystemClock
from agent.hosting import Hosting
from agent.instance import Instance
from agent.launcher import Launcher
from agent.loop import Loop
from agent.privileges import WORKERS
from agent.sdnotify import Notifier
from agent.supervision import WorkerSpec
from contracts.collector import Report
from contracts.event import Kind, Lane, Severity
from contracts.options import CollectorOptions
from contracts.record import Record
from contracts.snapshot import Changes, Snapshot
from host.dry_run import DryRun
from host.linux import LinuxHost

STEP = 30
EVERY_S = 0.05
KINDS = tuple(
    Kind(
        name=f"chatty.{lane.value}_counted",
        meaning="A number was counted.",
        title="Counted {number}",
        severity=Severity.CRITICAL if lane is Lane.CRITICAL else Severity.LOW,
        lane=lane,
        fields={"number": "int"},
    )
    for lane in Lane
)


class Number(Record):
    """How far it has counted."""

    value: int


class Chatty:
    """Counts on from where the stored snapshot is."""

    name: ClassVar[str] = "chatty"
    kinds: ClassVar[tuple[Kind, ...]] = KINDS
    row = Number
    options = CollectorOptions

    def __init__(self, options: CollectorOptions) -> None:
        self._options = options

    def collect(self, host: Any, before: Snapshot[Number]) -> Report[Number]:
        reached = before.rows["n"].value if before.rows else 0
        events = [KINDS[n % 3].event(str(n), number=n) for n in range(reached + 1, reached + STEP + 1)]
        return Report(events=tuple(events), changes=Changes(put={"n": Number(value=reached + STEP)}))


def hosting(_worker: str) -> Hosting:
    """Return what the one worker hosts."""
    return Hosting(make_host=LinuxHost, make_dry=DryRun, collectors={"chatty": Chatty})


def main() -> None:
    """Run until killed."""
    kernel.spare_memory()
    config = Path(sys.argv[1]).absolute()
    cached = config.with_suffix(".plan")
    if not cached.exists():
        cached.write_bytes(msgspec.msgpack.encode(plan.make(config)))
    made = msgspec.msgpack.decode(cached.read_bytes(), type=plan.Plan)
    worker = WorkerSpec(name="messenger", subjects=("chatty",), kinds={"chatty": tuple(kind.name for kind in KINDS)})
    made = msgspec.structs.replace(
        made,
        workers=(worker,),
        looks={} if "quiet" in sys.argv[2:] else {"chatty": EVERY_S},
        watchers={},
        disabled=(),
        kinds={k.name: k for k in KINDS},
    )
    directories = made.settings.directories
    paths = start.parse(["-c", str(config)]).paths(directories.state, directories.runtime, made.settings.control.socket)
    start.make_directories(paths)
    held = start.lock(paths)
    launcher = Launcher.start({"messenger": WORKERS["messenger"]}, hosting)
    loop = Loop(SystemClock().monotonic)
    agent = Instance(loop, SystemClock(), paths, made, launcher, [], Notifier())
    agent.start()
    loop.run()
    os.close(held)


if __name__ == "__main__":
    main()
