"""A little network of namespaces that a test makes and takes away: hosts on one switch, programs in them, detectors that watch one."""

import contextlib
import ctypes
import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.detectors.detectors import Detectors
from collectors.traffic.detectors.finding import Finding
from collectors.traffic.detectors.options import DetectorOptions
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.live import LiveSource
from collectors.traffic.protocols.dispatch import Protocols
from collectors.traffic.ring import RingOptions
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.reassembler import Reassembler

_CLONE_NEWNET = 0x40000000
_NUMBERS = itertools.count()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Arena:
    """Hosts by name, `10.77.0.1` and so on in the order in which they were named; each has `eth0`."""

    def __init__(self, *hosts: str) -> None:
        self._stem = f"hfd{os.getpid()}x{next(_NUMBERS)}"
        self.address = {name: f"10.77.0.{number}" for number, name in enumerate(hosts, 1)}
        self._running: list[subprocess.Popen[bytes]] = []
        self.outputs: dict[int, Path] = {}

    def space(self, host: str) -> str:
        """Return the name of a host's namespace."""
        return f"{self._stem}{host}"

    def __enter__(self) -> "Arena":
        _ip("netns", "add", self.space("sw"))
        try:
            _ip("-n", self.space("sw"), "link", "add", "br0", "type", "bridge")
            _ip("-n", self.space("sw"), "link", "set", "br0", "up")
            for host, address in self.address.items():
                self._join(host, address)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _join(self, host: str, address: str) -> None:
        space, switch, port = self.space(host), self.space("sw"), f"p{host}"[:15]
        _ip("netns", "add", space)
        _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("-n", switch, "link", "set", port, "master", "br0", "up")
        for link in ("lo", "eth0"):
            _ip("-n", space, "link", "set", link, "up")
        _ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")

    def __exit__(self, *_: object) -> None:
        for program in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGTERM)
        for program in self._running:
            try:
                program.wait(3)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, signal.SIGKILL)
                program.wait()
        for host in (*self.address, "sw"):
            subprocess.run(["ip", "netns", "del", self.space(host)], check=False, capture_output=True)

    def run(
        self, host: str, *words: str, seconds: float = 60.0, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on a host to its end, or for so long at most."""
        command = ["timeout", "-k", "2", str(seconds), "ip", "netns", "exec", self.space(host), *words]
        return subprocess.run(command, check=check, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def start(self, host: str, *words: str, folder: Path | None = None) -> "subprocess.Popen[bytes]":
        """Start a program on a host; it ends with the arena."""
        program = subprocess.Popen(
            ["ip", "netns", "exec", self.space(host), *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._running.append(program)
        return program

    def wait_for(self, host: str, port: int, seconds: float = 30.0) -> None:
        """Wait until something listens on a host's TCP port."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = self.run(host, "ss", "-Hltn", f"sport = :{port}").stdout
            if found.strip():
                return
            time.sleep(0.05)
        raise TimeoutError(f"nothing listens on {host}:{port}")

    @contextlib.contextmanager
    def watch(self, host: str, options: DetectorOptions | None = None) -> Iterator["Watch"]:
        """Watch a host's interface with our own ring and all parts."""
        watch = Watch(self.space(host), options or DetectorOptions())
        watch.begin()
        try:
            yield watch
        finally:
            watch.end()


class Watch:
    """What the detectors find on `eth0` of a namespace: `findings`, each with the seconds since the watch began in `after_s`."""

    def __init__(self, space: str, options: DetectorOptions) -> None:
        self.findings: list[Finding] = []
        self.after_s: list[float] = []
        self.packets = 0
        self.dropped = 0
        self.detectors: Detectors | None = None
        self._space, self._options = space, options
        self._stop, self._ready = threading.Event(), threading.Event()
        self._raised: list[BaseException] = []
        self._thread = threading.Thread(target=self._body)

    def begin(self) -> None:
        """Open the ring."""
        self._thread.start()
        if not self._ready.wait(30):
            raise TimeoutError("the ring did not open")

    def end(self) -> None:
        """Look at what has come, and stop; raises what the watching thread raised."""
        time.sleep(0.4)
        self._stop.set()
        self._thread.join()
        if self._raised:
            raise self._raised[0]

    def kinds(self) -> set[str]:
        """Return the kinds found so far, without the room's name."""
        return {one.kind.name.removeprefix("traffic.") for one in self.findings}

    def wait(self, kind: str, seconds: float = 30.0) -> Finding:
        """Wait until something of a kind was found."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._raised:
            for one in list(self.findings):
                if one.kind.name == f"traffic.{kind}":
                    return one
            time.sleep(0.05)
        raise AssertionError(f"no {kind} within {seconds} s, but {self.kinds()}")

    def _body(self) -> None:
        try:
            with Path(f"/run/netns/{self._space}").open("rb") as space:
                if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            source = LiveSource(["eth0"], RingOptions(blocks=48))
            try:
                self._ready.set()
                self._loop(source)
            finally:
                source.close()
        except BaseException as error:  # noqa: BLE001 (carried over to the test's own thread)
            self._raised.append(error)
            self._ready.set()

    def _loop(self, source: LiveSource) -> None:
        decoder, flows = Decoder(DecodeOptions()), FlowTable(FlowOptions())
        streams, protocols = Reassembler(StreamOptions()), Protocols()
        self.detectors = detectors = Detectors(self._options, flows.columns)
        began, stopping_s = time.monotonic(), 0.0
        for block in source.blocks(0.2):
            table = decoder.decode(block)
            batch = flows.update(block, table)
            news = streams.feed(block, table, batch)
            changes = protocols.feed(block, table, batch, news)
            found = detectors.feed(block, table, batch, news, changes)
            if not len(block):
                found = detectors.sweep(time.time_ns())
            self.packets += len(block)
            self.after_s += [time.monotonic() - began] * len(found)
            self.findings += found
            stopping_s = time.monotonic() if self._stop.is_set() and not stopping_s else stopping_s
            # What had come by then is looked at, also by a thread that stood still meanwhile.
            if stopping_s and (not len(block) or time.monotonic() > stopping_s + 10):
                source.refresh()
                self.dropped = sum(counts.dropped for counts in source.counts().values())
                return
