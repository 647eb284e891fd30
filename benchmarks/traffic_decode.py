"""Claim: captures are read, decoded and sorted into flows at over a million packets a second, one process, beside tcpdump on the same file.

The capture is the peers' mixed traffic (156,000 packets), written out several times with rewritten addresses and later times, so that every
copy is new flows. What is timed is one pass over the whole file: reading, decoding, the flow table; with checksums verified and without.
Start-up is taken off by timing from the first block asked for. CPU time of the one process is what counts (the machine may be shared);
wall time is printed beside it. `--profile` prints where the time goes instead.
"""

import argparse
import cProfile
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

ROOT = Path(__file__).resolve().parents[1]
CAPTURE = ROOT.parent / "shared" / "peers" / "bench" / "mixed.pcap.zst"
REACH = 1_000_000.0

sys.path.insert(0, str(ROOT))

from collectors.traffic.captures import open_capture  # noqa: E402
from collectors.traffic.decode.decoder import DecodeOptions, Decoder  # noqa: E402
from collectors.traffic.flows.table import FlowOptions, FlowTable  # noqa: E402


def copies(path: Path, count: int) -> int:
    """Write the capture `count` times to `path`, each copy with addresses of its own; returns the number of packets."""
    text = zstandard.ZstdDecompressor().decompress(CAPTURE.read_bytes(), max_output_size=1 << 30)
    header, body = text[:24], np.frombuffer(text[24:], np.uint8).copy()
    starts, at = [], 0
    while at + 16 <= len(body):
        starts.append(at)
        at += 16 + int.from_bytes(text[24 + at + 8 : 24 + at + 12], "little")
    start = np.array(starts, np.int64)
    at = start + 28
    for _ in range(3):
        # Behind VLAN tags.
        at += 4 * np.isin(body[at].astype(np.int64) << 8 | body[at + 1], (0x8100, 0x88A8, 0x9100))
    kind = body[at].astype(np.int64) << 8 | body[at + 1]
    # The second byte of both addresses: every copy is other hosts. (Checksums no longer hold: `ignore` is the fair figure.)
    places = np.concatenate([at[kind == 0x0800][:, None] + [15, 19], at[kind == 0x86DD][:, None] + [12, 28]]).ravel()
    seconds = (body[start[:, None] + np.arange(4)].astype(np.uint32) << np.array([0, 8, 16, 24], np.uint32)).sum(
        1, dtype=np.uint32
    )
    span = int(seconds.max()) - int(seconds.min()) + 1
    with path.open("wb") as file:
        file.write(header)
        for _ in range(count):
            file.write(body.tobytes())
            body[places] += 1
            seconds = seconds + np.uint32(span)
            body[start[:, None] + np.arange(4)] = (seconds[:, None] >> np.array([0, 8, 16, 24], np.uint32)) & 255
    return len(start) * count


def run(path: Path, verify: bool, flows: bool) -> dict[str, Any]:
    """Return times and counts of one pass."""
    decoder, table = Decoder(DecodeOptions(verify_checksums=verify)), FlowTable(FlowOptions())
    with path.open("rb", buffering=0) as file:
        blocks = open_capture(file).blocks()
        wall, cpu = time.perf_counter(), time.process_time()
        packets = 0
        for block in blocks:
            packets += len(block)
            decoded = decoder.decode(block)
            if flows:
                table.update(block, decoded)
        took = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    return {**took, "packets": packets, "flows": table.counts.begun, "live": len(table), "memory": table.memory_bytes()}


def read(path: Path) -> dict[str, float]:
    """Return the times of reading the blocks alone."""
    with path.open("rb", buffering=0) as file:
        blocks = open_capture(file).blocks()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in blocks:
            pass
        return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def tcpdump(path: Path) -> dict[str, float]:
    """Return the times of tcpdump copying the capture to nowhere."""
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(["tcpdump", "-r", str(path), "-w", "/dev/null"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": cpu, "wall": time.perf_counter() - wall}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=6)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mixed.pcap"
        packets = copies(path, options.copies)
        run(path, False, True)
        if options.profile:
            profile = cProfile.Profile(time.process_time)
            profile.runcall(run, path, False, True)
            pstats.Stats(profile).sort_stats("tottime").print_stats(40)
            return 0
        reading = min((read(path) for _ in range(3)), key=lambda found: found["cpu"])
        alone = min((run(path, False, False) for _ in range(3)), key=lambda found: found["cpu"])
        both = min((run(path, False, True) for _ in range(3)), key=lambda found: found["cpu"])
        verified = min((run(path, True, True) for _ in range(3)), key=lambda found: found["cpu"])
        peer = min((tcpdump(path) for _ in range(3)), key=lambda found: found["cpu"])
    print(
        f"{packets:,} packets, {path.name} x {options.copies}; {both['flows']:,} flows, {both['live']:,} live, {both['memory']:,} bytes"
    )
    for name, found in (
        ("reading", reading),
        ("reading + decode", alone),
        ("reading + decode + flows", both),
        ("the same, checksums verified", verified),
        ("tcpdump -r … -w /dev/null", peer),
    ):
        print(
            f"{name:30} {packets / found['cpu']:12,.0f} packets/s of CPU {packets / found['wall']:12,.0f} of wall time"
        )
    rate = packets / (both["cpu"] - reading["cpu"])
    print(f"{'decode + flows':30} {rate:12,.0f} packets/s of CPU (to reach: {REACH:,.0f})")
    return 0 if rate >= REACH else 1


if __name__ == "__main__":
    sys.exit(main())
