"""The long run: thousands of rulesets against the kernel, with the table of what decided how often. `make soak` runs it.

    python -m tests.analysis.firewall.kernel.soak --rulesets 5000 --seed 1 [--worlds 2] [--state FILE]
    python -m tests.analysis.firewall.kernel.soak --replay FILE

A ruleset is made from seed, number and what decided too little until then; with `--state` a run that was ended goes on where it was.
Exit code 1 when kernel and evaluator disagree once, when an uncertain answer names nothing unknown, when 2 % or more of the probes are
uncertain, or when something that is generated decided fewer than 50 probes.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec

from analysis.firewall.probe import Probe
from tests.analysis.firewall.kernel.agreement import Harness, Tally
from tests.analysis.firewall.kernel.choosing import Seeded
from tests.analysis.firewall.kernel.probing import Prober, Shot
from tests.analysis.firewall.kernel.rulesets import decode
from tests.analysis.firewall.kernel.strategies import draw_round
from tests.analysis.firewall.kernel.tags import TAGS, choices
from tests.analysis.firewall.kernel.topology import World

BATCH = 25
ENOUGH = 50
UNCERTAIN_LIMIT = 0.02
REPORTS = 12


def play(seed: int, numbers: range, wanted: dict[str, float], harness: Harness) -> list[str]:
    """Play the rulesets of `numbers`; returns the reports of disagreements."""
    reports = []
    for number in numbers:
        ruleset, shots = draw_round(Seeded(f"{seed}/{number}", wanted))
        for disagreement in harness.play(ruleset, shots)[:1]:
            reports.append(f"ruleset {number} of seed {seed}: {harness.smallest(disagreement).report()}")
    return reports


def worker(pipe: Connection) -> None:
    """Play batches in a world of its own until told that there are no more."""
    with World() as world:
        prober = Prober(world)
        while (order := pipe.recv()) is not None:
            seed, numbers, wanted = order
            harness = Harness(world, prober)
            reports = play(seed, numbers, wanted, harness)
            pipe.send((numbers, harness.tally, reports))


def wanted(tally: Tally) -> dict[str, float]:
    """Return weights for the choices that lead to what decided too little so far, the more the less it did."""
    weights: dict[str, float] = {}
    for tag in TAGS:
        count = tally.decided_by[tag]
        if count < 2 * ENOUGH:
            for choice in choices(tag):
                weights[choice] = max(weights.get(choice, 0.0), 2 + 10 * (1 - count / (2 * ENOUGH)) ** 2)
    return weights


class Soak:
    """A run: what is done, what is left, what was counted."""

    def __init__(self, seed: int, rulesets: int, state: Path | None) -> None:
        self.seed, self.rulesets, self.state = seed, rulesets, state
        self.tally, self.next, self.reports = Tally(), 0, list[str]()
        self.open, self.left = set[int](), list[int]()
        if state and state.exists():
            kept = json.loads(state.read_text())
            if kept["seed"] == seed:
                self.next, self.reports, self.left = kept["next"], kept["reports"], kept["open"]
                counted = kept["tally"]
                self.tally = Tally(**{**counted, **{k: Counter(counted[k]) for k in ("decided_by", "unknown")}})

    def run(self, worlds: int) -> None:
        """Play everything that is left in `worlds` worlds at once."""
        started = time.monotonic()
        context = multiprocessing.get_context("spawn")
        pipes, processes = [], []
        for _ in range(worlds):
            near, far = context.Pipe()
            process = context.Process(target=worker, args=(far,), daemon=True)
            process.start()
            far.close()
            pipes.append(near)
            processes.append(process)
        self._feed(pipes, started)
        for pipe in pipes:
            pipe.send(None)
        for process in processes:
            process.join()

    def _feed(self, pipes: list[Connection], started: float) -> None:
        busy = [pipe for pipe in pipes if self._order(pipe)]
        while busy:
            for ready in multiprocessing.connection.wait(busy):
                assert isinstance(ready, Connection)
                try:
                    numbers, tally, reports = ready.recv()
                except EOFError:
                    raise SystemExit("a world ended with an error (above); nothing is proved") from None
                self.open.discard(numbers.start)
                self.tally.add(tally)
                self.reports += reports
                for report in reports:
                    print(report, flush=True)
                self._progress(started)
                if len(self.reports) >= REPORTS or not self._order(ready):
                    busy.remove(ready)

    def _order(self, pipe: Connection) -> bool:
        if not self.left:
            if self.next >= self.rulesets:
                return False
            self.left.append(self.next)
            self.next += BATCH
        start = self.left.pop()
        self.open.add(start)
        numbers = range(start, min(start + BATCH, self.rulesets))
        pipe.send((self.seed, numbers, wanted(self.tally)))
        return True

    def _progress(self, started: float) -> None:
        tally = self.tally
        print(
            f"{tally.rulesets} rulesets, {tally.probes} probes, {tally.disagreed} disagreed, "
            f"{100 * tally.uncertain / max(1, tally.probes):.2f} % uncertain ({tally.unnamed} unnamed), {tally.reachable} reachable, "
            f"{time.monotonic() - started:.0f} s",
            file=sys.stderr,
            flush=True,
        )
        if self.state:
            begun = sorted({*self.open, *self.left})
            kept = {"seed": self.seed, "next": self.next, "open": begun, "reports": self.reports, "tally": vars(tally)}
            self.state.write_text(json.dumps(kept))

    def verdict(self) -> int:
        """Print the table and return the exit code."""
        tally = self.tally
        compared = tally.agreed + tally.disagreed
        lacking = [tag for tag in TAGS if tally.decided_by[tag] < ENOUGH]
        print("\ndecided probes by expression, statement and match")
        for tag in sorted(TAGS, key=lambda tag: tally.decided_by[tag]):
            print(f"{tally.decided_by[tag]:8}  {tag}{'   <- too few' if tag in lacking else ''}")
        print("\nwhat was uncertain")
        for text, count in tally.unknown.most_common(15):
            print(f"{count:8}  {text}")
        uncertain = tally.uncertain / max(1, tally.probes)
        print(
            f"\nseed {self.seed}: {tally.rulesets} rulesets ({tally.refused} refused by the tools), {tally.probes} probes"
        )
        print(f"agreement  {tally.agreed} of {compared} decided probes ({100 * tally.agreed / max(1, compared):.4f} %)")
        print(
            f"reachable  {tally.reachable}, not reachable {tally.agreed - tally.reachable}, sent back to their sender {tally.moot}"
        )
        print(f"uncertain  {tally.uncertain} ({100 * uncertain:.3f} %, under {100 * UNCERTAIN_LIMIT:.0f} % wanted)")
        print(f"uncertain without a name  {tally.unnamed}")
        print(f"decided too little: {', '.join(lacking) or 'nothing'}")
        agreed = tally.disagreed == tally.unnamed == 0
        good = agreed and uncertain < UNCERTAIN_LIMIT and not lacking and tally.rulesets > 0
        return 0 if good else 1


def replay(path: Path) -> int:
    """Play one reported disagreement again and say whether it is still there."""
    kept: dict[str, Any] = json.loads(path.read_text())
    shot = kept["shot"]
    with World() as world:
        harness = Harness(world, Prober(world))
        aimed = Shot(shot["sender"], msgspec.convert(shot["probe"], Probe), shot["band"])
        found = harness.again(decode(kept["ruleset"]), aimed)
    print(found.report() if found else "kernel and evaluator agree")
    return 1 if found else 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rulesets", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worlds", type=int, default=2)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--replay", type=Path)
    options = parser.parse_args()
    if options.replay:
        return replay(options.replay)
    soak = Soak(options.seed, options.rulesets, options.state)
    soak.run(options.worlds)
    return soak.verdict()


if __name__ == "__main__":
    sys.exit(main())
