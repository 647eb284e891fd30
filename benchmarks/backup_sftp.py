"""Claim: replication over SFTP reaches 0.9 of OpenSSH `sftp put`, reading back 0.8 of `sftp get`; far away, 3 times one connection.

One sshd on loopback, its files in memory (`sftp put` syncs nothing, so a disk would measure syncing), the cipher aes128-gcm on both sides.
Both take turns in the same run, the best run of each counts. Replication is the whole deed: connecting, listing, reading the local
repository, checking every byte of every pack, publishing, comparing sizes; the key is at hand, as it is after a backup. Far away is a
proxy, a process of its own, that holds every byte back for 20 ms in each direction; what it carries at most, over as many connections,
is measured as well.
"""

import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from _backup_sides import WORKER  # noqa: E402

from actions.backup.blobs import BlobType  # noqa: E402
from actions.backup.replicate import Verify, replicate_to  # noqa: E402
from actions.backup.repository import Repository  # noqa: E402
from actions.backup.stores.local import LocalStore  # noqa: E402
from actions.backup.stores.sftp import SftpStore  # noqa: E402
from actions.backup.stores.sftp_target import SftpTarget  # noqa: E402
from actions.backup.stores.store import CONFIG, FileType, Handle  # noqa: E402
from tests.actions.backup.stores.sshd import Sshd, normal  # noqa: E402

PUT, GET, FAR = 0.9, 0.8, 3.0
PACK = 16 << 20
BLOB = 1 << 20
ONE_WAY_S = 0.020
CIPHER = "aes128-gcm@openssh.com"


def make(place: Path, packs: int) -> Repository:
    """A repository with so many packs of 16 MiB, of blobs as big as the chunker makes them, that do not compress."""
    repository = Repository.create(LocalStore(place), "benchmark")
    saver = repository.saver()
    dice = random.Random(1)
    for _ in range(packs * PACK // BLOB):
        saver.save(BlobType.DATA, dice.randbytes(BLOB))
    saver.finish()
    return repository


class Sides:
    """The two sides, each a deed on a fresh folder of the server, timed."""

    def __init__(self, server: Sshd, repository: Repository, scratch: Path, connections: int) -> None:
        self._server = server
        self._store = repository.store
        self._key = repository.key
        self._scratch = scratch
        self._connections = connections
        self._packs = sorted(path for path in Path(self._store.location, "data").rglob("*") if path.is_file())
        self.bytes = sum(path.stat().st_size for path in self._packs)
        self._number = 0
        self._put = ""
        self.target = server.target()

    def openssh_put(self, port: int) -> float:
        folder = self._fresh()
        self._put = str(folder)
        folder.mkdir()
        return self._sftp(port, [f"lcd {path.parent}\nput {path.name} {folder}/" for path in self._packs])

    def openssh_get(self, port: int) -> float:
        back = self._scratch / "back"
        back.mkdir()
        try:
            return self._sftp(port, [f"get {self._put}/{path.name} {back}/" for path in self._packs])
        finally:
            shutil.rmtree(back)

    def our_put(self, port: int) -> float:
        self.target = self._target(port, str(self._fresh()))
        began = time.perf_counter()
        done = replicate_to(self._store, self.target, verify=Verify.SIZES, key=self._key)
        took = time.perf_counter() - began
        assert done.ok, done
        return took

    def our_get(self, port: int) -> float:
        """Every pack read back and put into a file, as `sftp get` does."""
        store = SftpStore(replace(self.target, port=port))
        back = self._scratch / "back"
        back.mkdir()
        began = time.perf_counter()
        store.stat(CONFIG)  # how many connections are worth while is known when there is one
        waiting = [Handle(FileType.PACK, path.name) for path in self._packs]

        def work() -> None:
            while waiting:
                try:
                    handle = waiting.pop()
                except IndexError:
                    return
                (back / handle.name).write_bytes(store.load(handle))

        try:
            in_threads([work] * store.connections)
            took = time.perf_counter() - began
            assert sum(path.stat().st_size for path in back.iterdir()) == self.bytes
        finally:
            store.close()
            shutil.rmtree(back)
        return took

    def clean(self) -> None:
        for folder in self._server.root.iterdir():
            shutil.rmtree(folder)

    def _target(self, port: int, path: str) -> SftpTarget:
        return replace(self._server.target(path), port=port, connections=self._connections)

    def _fresh(self) -> Path:
        self._number += 1
        return self._server.root / f"{self._number}"

    def _sftp(self, port: int, lines: list[str]) -> float:
        batch = self._scratch / "batch"
        batch.write_text("\n".join(lines) + "\n")
        folder = self._server.folder
        words = ["sftp", "-q", "-c", CIPHER, "-P", str(port), "-i", str(folder / "client_key"), "-b", str(batch)]
        words += ["-o", f"UserKnownHostsFile={folder / 'known_hosts'}", "root@127.0.0.1"]
        began = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


def in_threads(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def far(port: int) -> Iterator[int]:
    """A proxy to `port` as a process of its own; yields its port."""
    words = [sys.executable, "-m", "tests.actions.backup.stores.proxy", str(port), str(ONE_WAY_S)]
    process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdin is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def carried(connections: int, size: int) -> float:
    """Seconds in which the proxy carries `size` bytes of nothing over so many connections, both ends simple."""
    with socket.create_server(("127.0.0.1", 0)) as listener, far(listener.getsockname()[1]) as port:
        each = size // connections

        def take() -> None:
            sock, _ = listener.accept()
            with sock:
                left = each
                while left:
                    left -= len(sock.recv(min(left, 1 << 20)))
                sock.sendall(b"x")

        def give() -> None:
            with socket.create_connection(("127.0.0.1", port)) as sock:
                block, left = bytes(1 << 20), each
                while left:
                    left -= sock.send(block[: min(left, len(block))])
                sock.recv(1)

        began = time.perf_counter()
        in_threads([take] * connections + [give] * connections)
        return time.perf_counter() - began


def measure(
    server: Sshd, repository: Repository, scratch: Path, runs: int, connections: int, through: int
) -> dict[str, list[float]]:
    """MB/s of each deed, run after run, the sides in turn."""
    sides = Sides(server, repository, scratch, connections)
    speeds: dict[str, list[float]] = {}
    for turn in range(runs):
        deeds: list[tuple[str, Callable[[int], float]]] = [
            ("openssh put", sides.openssh_put),
            ("holdfast put", sides.our_put),
            ("openssh get", sides.openssh_get),
            ("holdfast get", sides.our_get),
        ]
        if turn % 2:
            deeds = [deeds[1], deeds[0], deeds[3], deeds[2]]
        for name, deed in deeds:
            speeds.setdefault(name, []).append(sides.bytes / 1e6 / deed(through))
        sides.clean()
    return speeds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--packs", type=int, default=40, help="packs of 16 MiB each")
    parser.add_argument("--connections", type=int, default=0, help="0: as many as the product takes there")
    parser.add_argument("--far-connections", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="holdfast-bench-"))
    memory = Path(tempfile.mkdtemp(prefix="holdfast-bench-", dir="/dev/shm"))
    try:
        with normal() as server:
            server.root = memory
            repository = make(scratch / "near", arguments.packs)
            near = measure(server, repository, scratch, arguments.runs, arguments.connections, server.port)
            with far(server.port) as port:
                server.pin(port)
                away = measure(server, repository, scratch, max(1, arguments.runs - 1), arguments.far_connections, port)
            limit = 256 / 1.048576 / carried(arguments.far_connections, 256 << 20)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(memory, ignore_errors=True)
    return report(near, away, limit, arguments.json)


def report(near: dict[str, list[float]], away: dict[str, list[float]], limit: float, as_json: bool) -> int:
    best = {name: max(found) for name, found in near.items()}
    distant = {name: max(found) for name, found in away.items()}
    ratios = {
        "put": best["holdfast put"] / best["openssh put"],
        "get": best["holdfast get"] / best["openssh get"],
        "far put": distant["holdfast put"] / distant["openssh put"],
        "far get": distant["holdfast get"] / distant["openssh get"],
    }
    far_reached = ratios["far put"] >= FAR or distant["holdfast put"] >= 0.9 * limit
    reached = ratios["put"] >= PUT and ratios["get"] >= GET and far_reached
    if as_json:
        print(json.dumps({"near": near, "far": away, "proxy": limit, "ratios": ratios, "reached": reached}))
        return 0 if reached else 1
    for name, found in (("loopback", best), ("40 ms away", distant)):
        print(f"{name}: " + ", ".join(f"{deed} {speed:.0f} MB/s" for deed, speed in found.items()))
    print(f"put {ratios['put']:.2f} (reach {PUT}), get {ratios['get']:.2f} (reach {GET})")
    print(
        f"40 ms away: put {ratios['far put']:.2f} (reach {FAR}), get {ratios['far get']:.2f}; the proxy carries {limit:.0f} MB/s"
    )
    return 0 if reached else 1


if __name__ == "__main__":
    if not WORKER.items() <= os.environ.items():  # the allocator reads its settings when a process begins
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **WORKER})
    sys.exit(main())
