"""Runs inside a Debian root: looks at its trees, learns its packages, and judges what changed; one JSON answer a line of input.

`python driver.py STATE ROOT…`; words: `look` (a baseline), `learn`, `judge` (everything since, then settled).
"""

import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from analysis.integrity.compare import compare, join_renames
from analysis.integrity.folding import fold, summary
from analysis.integrity.provenance import judge
from collectors.integrity.packages.desk import PackageDesk
from contracts.text import escape
from contracts.trees import Directory, Place, TreePlan
from host.linux import LinuxHost

KEPT = (b"/etc/passwd", b"/etc/group", b"/etc/shadow", b"/etc/gshadow")


class Driver:
    def __init__(self, state: str, roots: list[str]) -> None:
        self.host = LinuxHost()
        self.desk = PackageDesk(self.host, Path(state))
        self.roots = [Place(root.encode()) for root in roots]
        self.known: dict[bytes, Directory] = {}
        self.texts: dict[bytes, bytes] = {}
        self.lock = threading.Lock()

    def keep_learning(self) -> None:
        """What the watcher does at each notice in apt's archives."""
        desk = PackageDesk(LinuxHost(), Path(sys.argv[1]))
        while True:
            desk.learn()
            time.sleep(0.05)

    def walk(self) -> dict[bytes, Directory]:
        def before(path: bytes):
            held = self.known.get(path)
            return held.nodes if held else ()

        return {one.path: one for one in self.host.trees.walk(self.roots, before, TreePlan(one_filesystem=False))}

    def look(self) -> dict:
        self.known = self.walk()
        self.texts = {path: Path(path.decode()).read_bytes() for path in KEPT}
        return {"folders": len(self.known), "names": sum(len(one.nodes) for one in self.known.values())}

    def learn(self) -> dict:
        self.desk.begin()
        learnt = self.desk.learn()
        self.desk.settle()
        return {"archives": learnt.archives, "signed": learnt.signed, "flaws": list(learnt.flaws)}

    def judge(self) -> dict:
        after = self.walk()
        changes = []
        for path in sorted({*self.known, *after}):
            one, other = self.known.get(path), after.get(path)
            changes += compare(path, one.nodes if one else (), other.nodes if other else ())
        changes = [self.with_texts(change) for change in join_renames(changes)]
        learnt = self.desk.learn()
        self.desk.begin()
        judged = [(change, judge(change, self.desk)) for change in changes]
        runs = list(self.desk.transactions)
        folds, rest = fold(judged, runs)
        self.desk.settle()
        self.look()
        return {
            "learnt": [learnt.archives, learnt.signed, list(learnt.flaws)],
            "changes": len(changes),
            "folds": [
                {
                    "what": summary(one.transaction),
                    "tool": one.transaction.tool,
                    "files": one.files,
                    "levels": one.levels,
                    "proved": one.proved,
                    "unproved": [[escape(path), why] for path, why in one.unproved],
                }
                for one in folds
            ],
            "rest": [
                {
                    "path": escape(change.path),
                    "kinds": list(change.kinds),
                    "basis": provenance.basis,
                    "level": provenance.level,
                    "contradicts": provenance.contradicts,
                }
                for change, provenance in rest
            ],
            "levels": Counter(str(provenance.level) for _, provenance in judged),
        }

    def with_texts(self, change):
        import msgspec

        if change.path not in KEPT or change.after is None:
            return change
        new = Path(change.path.decode()).read_bytes()
        return msgspec.structs.replace(change, old=self.texts.get(change.path), new=new)


def main() -> None:
    driver = Driver(sys.argv[1], sys.argv[2:])
    for line in sys.stdin:
        word = line.strip()
        if word == "watch":
            threading.Thread(target=driver.keep_learning, daemon=True).start()
            answer = {}
        else:
            answer = getattr(driver, word)()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
