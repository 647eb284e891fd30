"""Claim: the detectors cost at most 0.4 µs of CPU per packet on mixed traffic.

The capture is the peers' mixed traffic (156,000 packets). It is decoded, followed and parsed as the sensor does, and what is timed is the
detectors' part alone: CPU time of this process, the best of several passes, each with fresh detectors (so that every flow is new to them).
The capture is made of many small captures with scans, tunnels and attacks in them, so that more fires here than on a server in a year;
the claim is with limits out of reach, so that nearly nothing fires. Printed beside it: bare SYNs of as many different senders as there are
packets (the worst case for the memories), and what the whole way to the detectors costs. `--profile` prints where the time goes.
"""

import argparse
import cProfile
import pstats
import sys
import time
from pathlib import Path

import numpy as np
import zstandard

ROOT = Path(__file__).resolve().parents[1]
CAPTURE = ROOT.parent / "shared" / "peers" / "bench" / "mixed.pcap.zst"
REACH_US = 0.4

sys.path.insert(0, str(ROOT))

from collectors.traffic.block import Block, from_packets  # noqa: E402
from collectors.traffic.captures import open_capture  # noqa: E402
from collectors.traffic.decode.decoder import DecodeOptions, Decoder  # noqa: E402
from collectors.traffic.detectors.detectors import Detectors  # noqa: E402
from collectors.traffic.detectors.options import (  # noqa: E402
    ArpOptions,
    DetectorOptions,
    DnsOptions,
    ScanOptions,
    WebOptions,
)
from collectors.traffic.flows.table import FlowOptions, FlowTable  # noqa: E402
from collectors.traffic.protocols.dispatch import Protocols  # noqa: E402
from collectors.traffic.streams.options import StreamOptions  # noqa: E402
from collectors.traffic.streams.reassembler import Reassembler  # noqa: E402

_MUCH = 1 << 40
SILENT = DetectorOptions(
    scans=ScanOptions(ports=_MUCH, hosts=_MUCH, slow_ports=_MUCH, slow_hosts=_MUCH),
    arp=ArpOptions(unasked=_MUCH, changes=_MUCH),
    dns=DnsOptions(names=_MUCH, missing=_MUCH),
    web=WebOptions(errors=_MUCH, attacks=_MUCH),
)


def one_pass(
    blocks: list[Block], options: DetectorOptions, profile: cProfile.Profile | None = None
) -> tuple[float, float, int]:
    """Return CPU seconds of the detectors, of everything, and how many findings there were."""
    decoder, flows = Decoder(DecodeOptions(verify_checksums=False)), FlowTable(FlowOptions())
    streams, protocols = Reassembler(StreamOptions()), Protocols()
    detectors = Detectors(options, flows.columns)
    spent, found = 0.0, 0
    begin = time.process_time()
    for block in blocks:
        used = block.used
        table = decoder.decode(block)
        batch = flows.update(block, table)
        news = streams.feed(block, table, batch)
        changes = protocols.feed(block, table, batch, news)
        if profile is not None:
            profile.enable()
        before = time.process_time()
        found += len(detectors.feed(block, table, batch, news, changes))
        spent += time.process_time() - before
        if profile is not None:
            profile.disable()
        block.used = used
    return spent, time.process_time() - begin, found


def mixed() -> list[Block]:
    """Return the capture's blocks, copied."""
    import io

    text = zstandard.ZstdDecompressor().decompress(CAPTURE.read_bytes(), max_output_size=1 << 30)
    return [
        Block(
            block.data.copy(),
            block.used,
            *(getattr(block, name).copy() for name in ("offset", "captured", "wire", "time_ns", "link")),
        )
        for block in open_capture(io.BytesIO(text)).blocks()
    ]


def strangers(count: int = 80_000) -> list[Block]:
    """Return SYNs of as many senders, a hundred microseconds apart."""
    chance = np.random.default_rng(1)
    frame = bytes.fromhex("0200000000010200000000020800450000280000400040060000") + bytes(4) + bytes([10, 0, 0, 10])
    frame += bytes.fromhex("0400005000000005000000005002200000000000")
    packets = np.tile(np.frombuffer(frame, np.uint8), (count, 1))
    packets[:, 26:30] = chance.integers(1, 220, (count, 4))
    made = []
    for begin in range(0, count, 8192):
        part = [row.tobytes() for row in packets[begin : begin + 8192]]
        made.append(from_packets(part, time_ns=[(begin + number) * 100_000 for number in range(len(part))]))
    return made


def main() -> int:
    """Print the cost, and say whether it is what is to be reached."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    chosen = parser.parse_args()
    blocks = mixed()
    packets = sum(len(block) for block in blocks)
    if chosen.profile:
        profile = cProfile.Profile(time.process_time)
        one_pass(blocks, SILENT, profile)
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
        return 0
    quiet = min(one_pass(blocks, SILENT) for _ in range(chosen.passes))
    loud = min(one_pass(blocks, DetectorOptions()) for _ in range(chosen.passes))
    flood = strangers()
    many = sum(len(block) for block in flood)
    worst = min(one_pass(flood, DetectorOptions()) for _ in range(2))
    cost = quiet[0] / packets * 1e6
    print(f"{packets:,} packets of mixed traffic in {len(blocks)} blocks; CPU time, best of {chosen.passes}")
    print(f"{'detectors, limits out of reach':40} {cost:7.3f} µs a packet, {quiet[2]} findings (to reach: {REACH_US})")
    print(f"{'detectors, stock limits':40} {loud[0] / packets * 1e6:7.3f} µs a packet, {loud[2]} findings")
    print(f"{'SYNs of as many senders as packets':40} {worst[0] / many * 1e6:7.3f} µs a packet, {worst[2]} findings")
    print(f"{'decode, flows, streams, protocols':40} {(quiet[1] - quiet[0]) / packets * 1e6:7.3f} µs a packet")
    return 0 if cost <= REACH_US else 1


if __name__ == "__main__":
    sys.exit(main())
