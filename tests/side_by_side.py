"""Runs the test suite as one pytest for each package of tests, a few at a time: much of it waits, and no process grows old.

usage: python -m tests.side_by_side [all | PACKAGE…]   (without any: every package but `system`, which boots one)

The packages meet only in what their tests share with the whole machine, so that any two may run at once; a package is never beside itself.
What a run says is shown when it ends. The files of a few tests that failed are run once more with the machine to themselves, and the tests
named if they pass then: docs/decisions/0011-failed-tests-once-more-alone.md. Exit code 1 when any failed for good.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

TESTS = Path(__file__).resolve().parent
AT_ONCE = 2
CALM = ("collectors", "analysis", "architecture", "uncompiled")
"""Runs that mostly reckon and rarely wait: one of them takes what two others leave of the processors, and no more (`nice`)."""
NICE = ("nice", "-n", "5")
TELL_EVERY_S = 60.0
LIMIT_S = 4800.0
"""A run that takes longer hangs; interrupted, it says where. (pytest's own limit is lost on tests that use the same timer.)"""
LONGEST_FIRST = ("actions", "system", "collectors", "agent", "analysis", "faults", "console", "browser")
TOGETHER = ("architecture", "contracts", "host", "privileges", "settings")
"""Packages so small that one process takes them all."""
COMPILED = tuple(TESTS.parent.glob("*/*/_native/manifest.json"))
UNCOMPILED = "uncompiled"
"""A run of the tests of what `make native` has compiled, as it runs where nothing is."""
SOURCES = ("collectors/traffic/streams", "collectors/traffic/protocols")
NOTHING_SELECTED = 5
SOME_FAILED = 1
MOST_AGAIN = 3
"""So many failures of one run may be for want of the machine; more of them are no accident."""


def packages() -> list[tuple[str, ...]]:
    """Return every package of tests, in the order to start them: the longest first, those not known here last."""
    found = {path.name for path in TESTS.iterdir() if any(path.rglob("test_*.py"))}
    rest = sorted(found - set(LONGEST_FIRST) - set(TOGETHER))
    alone = [(name,) for name in (*LONGEST_FIRST, *rest) if name in found]
    twice = [(UNCOMPILED,)] if COMPILED else []
    return [*alone, tuple(name for name in TOGETHER if name in found), *twice]


class Run:
    """One pytest over some packages, or some of their files, `beside` others that go first where both want a processor."""

    def __init__(self, names: Sequence[str], files: Sequence[str] = (), *, beside: bool = False) -> None:
        self.beside = beside
        self.name = " ".join(names)
        self._names = tuple(names)
        marks = "system" if "system" in names else "not system"
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the run is shown
        program = [*(NICE if beside else ()), sys.executable, "-u", "-m", "pytest"]
        argv = [*program, "-m", marks, "-o", f"cache_dir=.pytest_cache/{names[0]}"]
        # Tools that know of one lock file for the whole machine need not wait for another package's.
        environment = {**os.environ, "XTABLES_LOCKFILE": f"{tempfile.gettempdir()}/holdfast-tests-{names[0]}.xtables"}
        if UNCOMPILED in names:
            environment["HOLDFAST_NATIVE"] = "0"
        self._process = subprocess.Popen(
            [*argv, *(files or (str(TESTS / name) for name in (SOURCES if UNCOMPILED in names else names)))],
            cwd=TESTS.parent, stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said, env=environment,
        )  # fmt: skip
        self._began, self._ended = time.monotonic(), 0.0

    def over(self) -> bool:
        """Say whether it has ended."""
        if self._process.poll() is None:
            return False
        self._ended = self._ended or time.monotonic()
        return True

    @property
    def seconds(self) -> float:
        """How long it ran, or has run so far."""
        return (self._ended or time.monotonic()) - self._began

    @property
    def failed(self) -> bool:
        """Whether anything failed; that no test was selected is no failure."""
        return self._process.returncode not in (0, NOTHING_SELECTED)

    @property
    def failures(self) -> list[str]:
        """The lines that name what failed."""
        return [line for line in self.said().splitlines() if line.startswith(("FAILED tests/", "ERROR tests/"))]

    def again(self) -> "Run | None":
        """Run the files in which something failed once more; None where that is too much, or something else ended the run.

        Whole files: in some, a test goes on where the one before it has come to.
        """
        if self._process.returncode != SOME_FAILED or not 0 < len(self.failures) <= MOST_AGAIN:
            return None
        return Run(self._names, sorted({line.split()[1].partition("::")[0] for line in self.failures}))

    @property
    def passed(self) -> bool:
        """Whether tests were run, and all of them passed."""
        return self._process.returncode == 0

    def said(self) -> str:
        """Return all it has said so far."""
        size = self._said.seek(0, os.SEEK_END)
        return os.pread(self._said.fileno(), size, 0).decode("utf-8", "replace")

    def reached(self) -> str:
        """Return how far it is, in pytest's words."""
        percents = re.findall(r"\[ *(\d+%)\]", self.said())
        return f"{self.name} {percents[-1] if percents else '0%'}"

    def stop(self) -> None:
        """End it as Ctrl-C would, so that it cleans up."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()


def started(waiting: list[tuple[str, ...]], running: list[Run]) -> Run | None:
    """Start the next of `waiting`, which it leaves, if there is a place for one beside those that are `running`."""
    calm = [names for names in waiting if names[0] in CALM]
    others = [names for names in waiting if names[0] not in CALM]
    if waiting and sum(not run.beside for run in running) < AT_ONCE:
        names, beside = (others or calm)[0], False
    elif calm and not any(run.beside for run in running):
        names, beside = calm[0], True
    else:
        return None
    waiting.remove(names)
    return Run(names, beside=beside)


def run_all(waiting: list[tuple[str, ...]]) -> list[Run]:
    """Run every one of `waiting`, in this order, as places come free; returns all runs, ended."""
    running: list[Run] = []
    ended: list[Run] = []
    told = time.monotonic()
    try:
        while waiting or running:
            while (fresh := started(waiting, running)) is not None:
                running.append(fresh)
            time.sleep(0.2)
            for run in [run for run in running if run.seconds > LIMIT_S]:
                run.stop()
            for run in [run for run in running if run.over()]:
                running.remove(run)
                ended.append(run)
                show(run)
            if time.monotonic() > told + TELL_EVERY_S:
                told = time.monotonic()
                say(f"… {', '.join(run.reached() for run in running)}")
    finally:
        for run in running:
            run.stop()
    return ended


def passes_alone(run: Run) -> bool:
    """Run the files of what failed once more, with nothing beside them, and say what came of it."""
    again = run.again()
    if again is None:
        return False
    try:
        while not again.over() and again.seconds <= LIMIT_S:
            time.sleep(0.2)
    finally:
        again.stop()
    if not again.passed:
        show(again)
        return False
    say("\n".join(["passed when run again alone, to be mended:", *run.failures]))
    return True


def show(run: Run) -> None:
    """Show what a run came to: all it said if it failed, else its last words."""
    said = run.said().strip()
    word = "FAILED" if run.failed else "passed"
    say(f"{word} in {run.seconds:.0f} s: {run.name}: {said.rpartition(chr(10))[2]}")
    if run.failed:
        say(said)


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(words: list[str]) -> int:
    """Run what `words` name and return the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell in the background has them ignored
        signal.signal(number, signal.default_int_handler)
    begun = time.monotonic()
    every = packages()
    wanted = set(words) or {name for names in every for name in names} - {"system"}
    ended = run_all([names for names in every if "all" in wanted or wanted & set(names)])
    failed = [run for run in ended if run.failed and not passes_alone(run)]
    for run in failed:
        say("\n".join(run.failures))
    outcome = f"FAILED: {', '.join(run.name for run in failed)}" if failed else "all passed"
    say(f"{outcome}; {len(ended)} runs, {(time.monotonic() - begun) / 60:.1f} minutes")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("interrupted")
