"""Claim: with all of ET Open, alerts on the peers' mixed traffic are those of Suricata 8.0.7: at least 95 %, at most 3 signatures differ.

Prints the counts that agree, and each signature that differs. `--eve FILE` keeps the alerts for a closer look.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import zstandard

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT.parent / "shared" / "peers"
SHARE, MOST = 0.95, 3

sys.path.insert(0, str(ROOT))

from collectors.traffic.output.eve import line  # noqa: E402
from collectors.traffic.reading import Reading, ReadOptions  # noqa: E402
from collectors.traffic.rules import checking  # noqa: E402


def ours(eve: Path | None) -> Counter[int]:
    """Return the number of alerts by signature."""
    rules = checking.check([PEERS / "et-open"]).rules
    found: Counter[int] = Counter()
    lines: list[bytes] = []
    with tempfile.TemporaryFile() as file:
        zstandard.ZstdDecompressor().copy_stream(
            (PEERS / "bench" / "mixed.pcap.zst").open("rb"),
            file,
        )
        file.seek(0)
        for alert in Reading(file, rules, ReadOptions(verify_checksums=False)).alerts():
            found[alert.rule.sid] += 1
            lines.append(line(alert))
    if eve is not None:
        eve.write_bytes(b"".join(lines))
    return found


def main() -> int:
    """Print how far the counts agree; returns 1 when it is not far enough."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--eve", type=Path)
    options = parser.parse_args()
    kept = json.loads((PEERS / "bench" / "mixed.alerts.json").read_text())["alerts"]
    theirs = Counter({int(sid): count for sid, count in kept.items()})
    found = ours(options.eve)
    total, same = theirs.total(), (theirs & found).total()
    differ = sorted(sid for sid in theirs | found if theirs[sid] != found[sid])
    print(
        f"{same:,} of {total:,} alerts agree ({same / total:.2%}; to reach {SHARE:.0%}); here {found.total():,} in all"
    )
    for sid in differ:
        print(f"  signature {sid}: Suricata {theirs[sid]}, here {found[sid]}")
    print(
        f"{len(theirs) - sum(sid in theirs for sid in differ)} of {len(theirs)} signatures equal; {len(differ)} differ"
    )
    return 0 if same >= SHARE * total and len(differ) <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
