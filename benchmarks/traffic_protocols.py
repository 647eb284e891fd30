"""Claim: 480,000 packets a second of mixed traffic go through reading, decoding, flows, streams and protocols, one process, no rules.

(What Suricata 8.0.7 does on the build machine with one thread, no rules and no output. Half of it is the least.) The capture is that of
`traffic_decode.py`: the peers' mixed traffic, written out several times with rewritten addresses, so that every copy is new flows.
Checksums are ignored (the copies' do not hold). Start-up is taken off by timing from the first block asked for; CPU time of the one process
counts (the machine may be shared), the best of `--runs`. `tcpdump -r … -w /dev/null` reads the same file in the same run. `--profile`
prints where the time goes instead.
"""

import argparse
import cProfile
import pstats
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
REACH, LEAST = 480_000.0, 240_000.0

sys.path.insert(0, str(ROOT))

from benchmarks.traffic_decode import copies, tcpdump  # noqa: E402
from collectors.traffic.captures import open_capture  # noqa: E402
from collectors.traffic.decode.decoder import DecodeOptions, Decoder  # noqa: E402
from collectors.traffic.flows.table import FlowOptions, FlowTable  # noqa: E402
from collectors.traffic.garbage import seldom  # noqa: E402
from collectors.traffic.native import ROOM  # noqa: E402
from collectors.traffic.protocols.dispatch import Protocols  # noqa: E402
from collectors.traffic.streams.options import StreamOptions  # noqa: E402
from collectors.traffic.streams.reassembler import Reassembler  # noqa: E402

PARTS = ("read", "decode", "flows", "streams", "protocols")


def run(path: Path) -> tuple[int, list[float], Reassembler, Protocols]:
    """Read a capture through all parts; returns the packets, CPU seconds by part, and the last two parts."""
    decoder, flows = Decoder(DecodeOptions(verify_checksums=False)), FlowTable(FlowOptions())
    streams, protocols = Reassembler(StreamOptions()), Protocols()
    spent, packets = np.zeros(5), 0
    with path.open("rb", buffering=0) as file:
        blocks = open_capture(file).blocks()
        before = time.process_time()
        for block in blocks:
            packets += len(block)
            marks = [before, time.process_time()]
            table = decoder.decode(block)
            marks.append(time.process_time())
            batch = flows.update(block, table)
            marks.append(time.process_time())
            news = streams.feed(block, table, batch)
            marks.append(time.process_time())
            protocols.feed(block, table, batch, news)
            before = time.process_time()
            spent += np.diff([*marks, before])
    return packets, spent.tolist(), streams, protocols


def main() -> int:
    """Print packets a second, the share of each part, and what protocols were found."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--copies", type=int, default=6)
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--profile", action="store_true")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mixed.pcap"
        copies(path, chosen.copies)
        seldom()
        if chosen.profile:
            profile = cProfile.Profile()
            profile.runcall(run, path)
            pstats.Stats(profile).sort_stats("tottime").print_stats(40)
            return 0
        packets, spent, streams, protocols = min((run(path) for _ in range(chosen.runs)), key=lambda one: sum(one[1]))
        peer = min((tcpdump(path) for _ in range(chosen.runs)), key=lambda found: found["cpu"])
    rate, counts = packets / sum(spent), protocols.counts
    print(
        f"{packets:,} packets in {sum(spent):.2f} s of CPU; {streams.careful / packets:.1%} looked at one by one; {ROOM.how()}"
    )
    print(f"  whole path                  {rate:12,.0f} packets/s (to reach: {REACH:,.0f}; least: {LEAST:,.0f})")
    print(f"  tcpdump -r … -w /dev/null   {packets / peer['cpu']:12,.0f} packets/s")
    each = zip(PARTS, spent, strict=True)
    print("  µs a packet: " + ", ".join(f"{name} {seconds / packets * 1e6:.2f}" for name, seconds in each))
    print(f"  conversations: {dict(counts.conversations.most_common())}")
    print(f"  transactions: {dict(counts.transactions.most_common())}; broken parsers: {counts.parsers_broken}")
    print(f"  encrypted: {counts.encrypted} conversations, {counts.bytes_encrypted:,} of {counts.bytes_seen:,} bytes")
    print(f"  peak RSS: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")
    return 0 if rate >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
