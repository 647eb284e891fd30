"""Runs inside a Debian root: the watch and the collector as the agent wires them, over the real profiles; one JSON answer a line of input.

`python wired.py STATE`; words: `begin` (the baseline, and every archive read), `told` (what was said until nothing more came for a while).
All the while the collector looks many times a second, whatever is under way.
"""

import json
import sys
import threading
import time
from pathlib import Path

from collectors.integrity.options import Options, Pace
from tests.collectors.integrity.running import Running

QUIET_S = 2.0
MOST_S = 200.0
OWN = ("integrity.sealed", "integrity.baseline_made")


class Wired:
    def __init__(self, state: str) -> None:
        Path(state).mkdir(parents=True)
        self.watch = Running(Path(state), Options(enabled=True, pace=Pace(io=100, cpu=100)))
        self.lock = threading.Lock()
        self.changed = time.monotonic()
        self.spots: list[str] = []
        self.error = ""

    def begin(self) -> dict:
        self.watch.start()
        threading.Thread(target=self._looking, daemon=True).start()
        self._until(lambda: "scan" in self.watch.snapshot.rows)
        told = self.told()
        return {**told, "told": len(told["events"])}

    def told(self) -> dict:
        """Wait until the watch is idle, nothing waits in its journal, and nothing came for a while."""
        self.changed = time.monotonic()
        self._until(lambda: time.monotonic() - self.changed > QUIET_S)
        with self.lock:
            told, self.watch.told = list(self.watch.told), []
            spots, self.spots = self.spots, []
        return {
            "events": [
                {"kind": event.kind, "key": event.key, "severity": int(event.severity), "fields": event.fields}
                for event in told
                if event.kind not in OWN
            ],
            "blind": spots,
        }

    def _until(self, holds) -> None:
        end = time.monotonic() + MOST_S
        while not holds():
            assert time.monotonic() < end and not self.error, self.error
            time.sleep(0.05)

    def _looking(self) -> None:
        try:
            while True:
                time.sleep(0.05)
                with self.lock:
                    came = self.watch.look()
                    self.spots += [
                        text for one in self.watch.blind if (text := f"{one.what}: {one.detail}") not in self.spots
                    ]
                    book = self.watch.snapshot.rows.get("book")
                    waits = self.watch._collector._book.told(book.reported if book is not None else 0, 1)
                learns = not self.watch._collector._runs._learning().is_ready
                if came or waits or learns or self.watch.engine._dirty.pending() or self.watch.engine._notices.waits():
                    self.changed = time.monotonic()
        except BaseException as error:  # noqa: BLE001  # told by the thread that answers
            self.error = repr(error)


def main() -> None:
    wired = Wired(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(getattr(wired, line.strip())(), default=str), flush=True)


if __name__ == "__main__":
    main()
