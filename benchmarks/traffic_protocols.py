"""Claim: 600,000 packets a second of mixed traffic go through decoding, flows, streams and protocols in one process.

The capture is that of `traffic_decode.py`: the peers' mixed traffic, written out several times with rewritten addresses, so that every copy
is new flows. Checksums are ignored (the copies' do not hold). CPU time of the one process is what counts; `--profile` prints where it goes.
"""

import argparse
import cProfile
import pstats
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from traffic_decode import copies

from collectors.traffic.captures import open_capture
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.protocols.dispatch import Protocols
from collectors.traffic.streams.reassembler import Reassembler
from collectors.traffic.streams.session import StreamOptions

REACH = 600_000.0
PARTS = ("decode", "flows", "streams", "protocols")


def run(path: Path) -> tuple[int, dict[str, float], Protocols]:
    """Read a capture through all parts; returns the packets, CPU seconds by part, and the protocols."""
    decoder, flows = Decoder(DecodeOptions(verify_checksums=False)), FlowTable(FlowOptions())
    streams, protocols = Reassembler(StreamOptions()), Protocols()
    spent, packets = np.zeros(5), 0
    with path.open("rb") as file:
        before = time.process_time()
        for block in open_capture(file).blocks():
            packets += len(block)
            marks = [time.process_time()]
            table = decoder.decode(block)
            marks.append(time.process_time())
            batch = flows.update(block, table)
            marks.append(time.process_time())
            news = streams.feed(block, table, batch)
            marks.append(time.process_time())
            protocols.feed(block, table, batch, news)
            marks.append(time.process_time())
            spent += np.diff([before, *marks])
            before = marks[-1]
    return packets, dict(zip(("read", *PARTS), spent.tolist(), strict=True)), protocols


def main() -> None:
    """Print packets a second, the share of each part, and what protocols were found."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--copies", type=int, default=4)
    arguments.add_argument("--profile", action="store_true")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mixed.pcap"
        copies(path, chosen.copies)
        if chosen.profile:
            profile = cProfile.Profile()
            profile.runcall(run, path)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
            return
        packets, spent, protocols = run(path)
    total = sum(spent.values())
    print(f"{packets / total:,.0f} packets/s (reach {REACH:,.0f}): {packets:,} packets in {total:.2f} s CPU")
    print("  " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in spent.items()))
    print(f"  protocols alone: {packets / spent['protocols']:,.0f} packets/s")
    print(f"  conversations: {dict(protocols.counts.conversations.most_common())}")
    print(
        f"  transactions: {dict(protocols.counts.transactions.most_common())}; broken parsers: {protocols.counts.parsers_broken}"
    )
    counts = protocols.counts
    print(f"  encrypted: {counts.encrypted} conversations, {counts.bytes_encrypted:,} of {counts.bytes_seen:,} bytes")
    print(f"  peak RSS: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
