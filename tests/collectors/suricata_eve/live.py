"""Follows a real Suricata while it runs: its file is renamed, renamed twice between two looks, and emptied; every alert is told once.

`make soak-suricata`, as root: it needs a `suricata` of 6 or newer on the PATH (Debian 12: from bookworm-backports), whose service need not
run. Everything happens in a network namespace of its own and a temporary folder.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from collectors.suricata_eve.collector import Options, SuricataEveCollector
from contracts.errors import Unavailable
from contracts.snapshot import Snapshot, apply
from contracts.subjects.suricata_eve import SUBJECT, Row
from host.linux import LinuxHost

RULES = """\
alert tcp any any -> any 8099 (msg:"packets"; flow:established,to_server; content:"probe"; sid:9000001;)
alert http any any -> any any (msg:"requests"; http.uri; content:"/probe"; sid:9000002;)
"""
PORT = "8099"


class Followed:
    """What was told so far of one file."""

    def __init__(self, path: Path) -> None:
        self.collector = SuricataEveCollector(Options(files=(str(path),), from_beginning=True))
        self.rows: dict[str, Row] = {}
        self.told: Counter[int] = Counter()
        self.odd: list[str] = []

    def look(self) -> None:
        """Look once; `odd` collects whatever is no alert."""
        try:
            report = self.collector.collect(LinuxHost(), Snapshot(subject=SUBJECT, revision=0, rows=self.rows))
        except Unavailable as error:
            self.odd.append(str(error))
            return
        self.rows = apply(self.rows, report.changes)
        for event in report.events:
            if event.kind == "traffic.alert":
                self.told[event.fields["sid"]] += 1 + event.repeats
            else:
                self.odd.append(f"{event.kind} {event.fields}")
        self.odd += [f"{spot.what}: {spot.detail}" for spot in report.blind]


class Scene:
    """A web server, a Suricata that watches it, and the collector that follows its output."""

    def __init__(self, folder: Path, suricata: "subprocess.Popen[bytes]") -> None:
        self.eve = folder / "eve.json"
        self.suricata = suricata
        self.followed = Followed(self.eve)
        self.sent = 0

    def ask(self, count: int) -> None:
        """Send requests that both rules speak of, and wait until Suricata has said so."""
        before = sum(self.written().values())
        for _ in range(count):
            self.sent += 1
            subprocess.run(["curl", "-s", "-o", os.devnull, f"http://127.0.0.1:{PORT}/probe?{self.sent}"], check=True)
        self.wait(lambda: sum(self.written().values()) >= before + 2 * count)

    def rotate(self) -> None:
        """Rename the file, as logrotate does: the older ones go one further, and Suricata opens it anew."""
        for number in range(8, 0, -1):
            older = self.eve.with_name(f"eve.json.{number}")
            if older.exists():
                older.rename(older.with_name(f"eve.json.{number + 1}"))
        self.eve.rename(self.eve.with_name("eve.json.1"))

    def reopen(self) -> None:
        """Let Suricata open its file anew; it does so with the next record."""
        self.suricata.send_signal(signal.SIGHUP)
        self.wait(lambda: self.eve.exists())

    def wait(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; raises `AssertionError` after a minute."""
        until = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < until, "Suricata has not done it in a minute"
            assert self.suricata.poll() is None, "Suricata has ended"
            time.sleep(0.1)

    def written(self) -> Counter[int]:
        """Return the alerts that are in all files now, by sid; zeros are where a file was emptied under its writer."""
        found: Counter[int] = Counter()
        for file in self.eve.parent.glob("eve.json*"):
            for line in file.read_bytes().replace(b"\0", b"").split(b"\n")[:-1]:
                record = json.loads(line)
                if record["event_type"] == "alert":
                    found[record["alert"]["signature_id"]] += 1
        return found


def run(scene: Scene) -> None:
    """Rotate in every way that is known, with requests in between."""
    scene.ask(5)
    scene.followed.look()
    scene.ask(5)
    scene.rotate()
    scene.followed.look()
    scene.ask(3)
    scene.followed.look()
    scene.reopen()
    scene.ask(4)
    scene.followed.look()
    scene.followed.look()
    for _ in range(2):
        scene.rotate()
        scene.reopen()
        scene.ask(3)
    for _ in range(4):
        scene.followed.look()
    scene.ask(2)
    scene.followed.look()
    shutil.copy(scene.eve, scene.eve.with_name("eve.json.copy"))
    os.truncate(scene.eve, 0)
    scene.ask(2)
    for _ in range(3):
        scene.followed.look()


def main() -> int:
    """Run it all; returns 0 when every alert was told once and nothing else was said."""
    if "--inside" not in sys.argv:
        return subprocess.run(
            ["unshare", "-n", sys.executable, "-m", __spec__.name, "--inside"], check=False
        ).returncode
    program = shutil.which("suricata")
    if program is None:
        print("there is no suricata on the PATH", file=sys.stderr)
        return 2
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="holdfast-suricata-") as name:
        folder = Path(name)
        (folder / "www").mkdir()
        (folder / "rules").write_text(RULES)
        web = subprocess.Popen(
            [sys.executable, "-m", "http.server", "-b", "127.0.0.1", "-d", str(folder / "www"), PORT],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        config = os.environ.get("SURICATA_YAML", "/etc/suricata/suricata.yaml")
        options = [
            "-S",
            str(folder / "rules"),
            "--pcap=lo",
            "-k",
            "none",
            "-l",
            name,
            "--set",
            "unix-command.enabled=no",
        ]
        suricata = subprocess.Popen([program, "-c", config, *options], stdout=subprocess.DEVNULL)
        scene = Scene(folder, suricata)
        try:
            scene.wait(lambda: "ngine started" in _log(folder))
            run(scene)
        finally:
            for process in (suricata, web):
                process.terminate()
                process.wait(60)
        scene.followed.look()
        print(
            f"{scene.sent} requests; written {dict(scene.written())}; told {dict(scene.followed.told)}; else {scene.followed.odd}"
        )
        return 0 if scene.followed.told == scene.written() and not scene.followed.odd else 1


def _log(folder: Path) -> str:
    log = folder / "suricata.log"
    return log.read_text() if log.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
