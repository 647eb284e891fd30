"""Claim: captures are decoded, sorted into flows and reassembled at hundreds of thousands of packets a second, one process, beside tcpdump.

The capture is the peers' mixed traffic, repeated with rewritten addresses (as `traffic_decode.py` has it): every copy is new flows.
CPU time of the one process counts; reading is taken off for the figure to be reached. `--profile` prints where the time goes instead.
"""

import argparse
import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REACH, LEAST = 700_000.0, 350_000.0

sys.path.insert(0, str(ROOT))

from benchmarks.traffic_decode import copies, read, tcpdump  # noqa: E402
from collectors.traffic.captures import open_capture  # noqa: E402
from collectors.traffic.decode.decoder import DecodeOptions, Decoder  # noqa: E402
from collectors.traffic.flows.table import FlowOptions, FlowTable  # noqa: E402
from collectors.traffic.streams.reassembler import Reassembler, StreamOptions  # noqa: E402


def run(path: Path, streams: bool) -> dict[str, Any]:
    """Return times and counts of one pass."""
    decoder, table = Decoder(DecodeOptions(verify_checksums=False)), FlowTable(FlowOptions())
    reassembler = Reassembler(StreamOptions())
    with path.open("rb", buffering=0) as file:
        blocks = open_capture(file).blocks()
        wall, cpu = time.perf_counter(), time.process_time()
        packets = runs = heard = 0
        for block in blocks:
            packets += len(block)
            decoded = decoder.decode(block)
            batch = table.update(block, decoded)
            if streams:
                news = reassembler.feed(block, decoded, batch)
                runs += len(news.runs)
                heard += sum(len(one.data) for one in news.runs)
        took = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    return {**took, "packets": packets, "runs": runs, "heard": heard, "careful": reassembler.careful}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=6)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mixed.pcap"
        packets = copies(path, options.copies)
        run(path, True)
        if options.profile:
            profile = cProfile.Profile(time.process_time)
            profile.runcall(run, path, True)
            pstats.Stats(profile).sort_stats("tottime").print_stats(40)
            return 0
        reading = min((read(path) for _ in range(3)), key=lambda found: found["cpu"])
        flows = min((run(path, False) for _ in range(3)), key=lambda found: found["cpu"])
        whole = min((run(path, True) for _ in range(3)), key=lambda found: found["cpu"])
        peer = min((tcpdump(path) for _ in range(3)), key=lambda found: found["cpu"])
    print(
        f"{packets:,} packets; {whole['runs']:,} runs of {whole['heard']:,} bytes; "
        f"{whole['careful'] / packets:.1%} of the packets looked at one by one"
    )
    for name, found in (
        ("reading", reading),
        ("reading + decode + flows", flows),
        ("the same + streams", whole),
        ("tcpdump -r … -w /dev/null", peer),
    ):
        print(
            f"{name:30} {packets / found['cpu']:12,.0f} packets/s of CPU {packets / found['wall']:12,.0f} of wall time"
        )
    rate = packets / (whole["cpu"] - reading["cpu"])
    print(
        f"{'decode + flows + streams':30} {rate:12,.0f} packets/s of CPU (to reach: {REACH:,.0f}; least: {LEAST:,.0f})"
    )
    return 0 if rate >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
