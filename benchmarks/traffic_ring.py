"""Claim: the ring takes 150,000 packets a second off a veth pair without a drop, and an idle interface costs under 1 % of a core.

A second process sends for a few seconds at the rate asked for, over a veth pair in a namespace of its own; this one reads and copies out,
and with `--through` decodes, sorts into flows and reassembles. Printed: what was sent, read and dropped, and the CPU time of this process.

With `--stall SECONDS` a third process reads and is stopped (SIGSTOP) for so long while packets come at `--rate`: printed is for how long
the ring bore it, which is what was not dropped of the stall, and how late packets were read before it.
"""

import argparse
import ctypes
import multiprocessing
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from collectors.traffic.decode.decoder import DecodeOptions, Decoder  # noqa: E402
from collectors.traffic.flows.table import FlowOptions, FlowTable  # noqa: E402
from collectors.traffic.live import LiveSource  # noqa: E402
from collectors.traffic.ring import RingOptions  # noqa: E402
from collectors.traffic.streams.reassembler import Reassembler, StreamOptions  # noqa: E402

SECONDS, IDLE_S = 4.0, 5.0
_CLONE_NEWNET, _SOL_PACKET, _TX_RING, _VERSION, _V2 = 0x40000000, 263, 13, 10, 1
_QDISC_BYPASS = 20


def frames(count: int) -> list[bytes]:
    """Return UDP packets of 200 bytes, of 256 flows."""
    made = []
    for number in range(count):
        udp = struct.pack(">HHHH", 1000 + number % 256, 9, 166, 0) + bytes(158)
        ip = struct.pack(">BBHHHBBHII", 0x45, 0, 186, 0, 0, 64, 17, 0, 0x0A090001, 0x0A090002)
        made.append(b"\xff" * 6 + bytes(6) + b"\x08\x00" + ip + udp)
    return made


def send(rate: float, seconds: float, sent: "multiprocessing.Queue[int]") -> None:
    """Send at a rate, in bursts of a hundredth of a second."""
    made = frames(256)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:
        sender.setsockopt(_SOL_PACKET, _QDISC_BYPASS, 1)
        sender.bind(("hfa", 0))
        count, begin = 0, time.perf_counter()
        while (now := time.perf_counter() - begin) < seconds:
            due = int(now * rate)
            while count < due:
                sender.send(made[count & 255])
                count += 1
            time.sleep(0.0005)
    sent.put(count)


def read(
    ready: "multiprocessing.Queue[int]", told: "multiprocessing.Queue[tuple[int, int, list[float]]]", seconds: float
) -> None:
    """Read for so long; tells what was read, dropped, and how late (in seconds) the packets of its first two seconds were."""
    source, late, begin = LiveSource(["hfb"], RingOptions(filter="udp port 9")), list[float](), time.monotonic()
    ready.put(1)
    for block in source.blocks(0.2):
        if len(block) and time.monotonic() - begin < 2:
            now = time.time_ns()
            late += [(now - int(then)) / 1e9 for then in block.time_ns]
        if time.monotonic() - begin > seconds:
            break
    source.refresh()
    told.put((source.counts()["hfb"].read, source.counts()["hfb"].dropped, late))


def stall(rate: float, seconds: float) -> None:
    """Stop the reader for `seconds` and print for how long the ring bore it."""
    before_s, after_s = 2.5, 1.5
    whole = before_s + seconds + after_s
    ready: multiprocessing.Queue[int] = multiprocessing.Queue()
    told: multiprocessing.Queue[tuple[int, int, list[float]]] = multiprocessing.Queue()
    sent: multiprocessing.Queue[int] = multiprocessing.Queue()
    reader = multiprocessing.Process(target=read, args=(ready, told, whole + 1.0))
    sender = multiprocessing.Process(target=send, args=(rate, whole, sent))
    reader.start()
    ready.get()
    sender.start()
    time.sleep(before_s)
    os.kill(reader.pid or 0, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(reader.pid or 0, signal.SIGCONT)
    count, (came, dropped, late) = sent.get(), told.get()
    actual = count / whole
    late.sort()
    median, tail = (late[int(len(late) * part)] for part in (0.5, 0.99))
    print(
        f"stopped for {seconds:.1f} s at {actual:,.0f} packets/s: sent {count:,}, read {came:,}, dropped {dropped:,}: "
        f"borne for {seconds - dropped / actual:.2f} s; before, packets were read {median * 1e3:.0f} ms (p99 {tail * 1e3:.0f}) late"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=150_000)
    parser.add_argument("--through", action="store_true")
    parser.add_argument("--stall", type=float, default=0.0)
    options = parser.parse_args()
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        print("needs root, for a network namespace of its own", file=sys.stderr)
        return 2
    subprocess.run(["ip", "link", "add", "hfa", "type", "veth", "peer", "name", "hfb"], check=True)
    for name in ("hfa", "hfb"):
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
    if options.stall:
        stall(options.rate, options.stall)
        return 0
    source = LiveSource(["hfb"], RingOptions(filter="udp port 9"))
    before, begin = time.process_time(), time.perf_counter()
    for _ in source.blocks():
        if time.perf_counter() - begin > IDLE_S:
            break
    idle = (time.process_time() - before) / (time.perf_counter() - begin)
    sent: multiprocessing.Queue[int] = multiprocessing.Queue()
    sender = multiprocessing.Process(target=send, args=(options.rate, SECONDS, sent))
    decoder, table, streams = Decoder(DecodeOptions()), FlowTable(FlowOptions()), Reassembler(StreamOptions())
    sender.start()
    before = time.process_time()
    for block in source.blocks(0.5):
        if options.through and len(block):
            decoded = decoder.decode(block)
            streams.feed(block, decoded, table.update(block, decoded))
        if not len(block) and not sender.is_alive():
            break
    used = time.process_time() - before
    count = sent.get()
    source.refresh()
    counts = source.counts()["hfb"]
    print(f"idle: {idle:.2%} of a core (to stay under: 1 %)")
    print(
        f"sent {count:,} in {SECONDS:.0f} s ({count / SECONDS:,.0f}/s); read {counts.read:,}; dropped {counts.dropped:,}; "
        f"{used / SECONDS:.1%} of a core, {used / max(counts.read, 1) * 1e6:.2f} µs a packet"
    )
    return 0 if not counts.dropped and idle < 0.01 else 1


if __name__ == "__main__":
    sys.exit(main())
