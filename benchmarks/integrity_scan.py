"""Claim: the first baseline of /usr with SHA-256 takes at most 0.22 of AIDE's time (warm) and 1.2 of a raw parallel read (cold), at most
120 MB; a rescan with unchanged metadata takes under 3 s for 120,000 files; a baseline of a million files stays under 150 MB.

The agent runs for real. It has started, and its console and all its other first looks are done, when the folder comes into its settings
by a reload: AIDE starts on a machine that has started, too. Times are those from the start of its reader's scan to the end, as
`holdfast integrity show` says, and of `holdfast integrity scan` as a person sees it; memory is the peak of the reader process (VmHWM),
processor time that of the same process up to the end of the baseline, its start included. AIDE is Debian's, with sha256 alone, right
after. On a machine that does other work, too, the ratio of the processor times says more than that of the times.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from _installation import ROOT, compiled, cpu_s, enter_namespace, tree

REACH = {"warm": 0.22, "cold": 1.2, "peak_mb": 120.0, "rescan_s_per_120k": 3.0, "million_mb": 150.0}
SETTINGS = """collectors:
  antivirus: {{enabled: false}}
  holdings: {{enabled: false}}
  ports: {{enabled: false}}
  integrity:
    enabled: {enabled}
    profiles: []
    watch: {{bench: {{paths: [{folder}], hash: {digest}}}}}
    pace: {{io: 100, cpu: 100}}
"""
AIDE = """database_in=file:{state}/aide.db
database_out=file:{state}/aide.db.new
report_url=file:{state}/report
gzip_dbout=no
{folder} p+i+n+u+g+s+m+c+acl+xattrs+caps+sha256
"""


@contextmanager
def agent(folder: Path, state: Path, digest: str) -> Iterator[Path]:
    """Run console and agent, which `watch` tells to watch `folder`; yields the control socket."""
    configure(folder, state, digest, enabled=False)
    started = subprocess.Popen(
        [sys.executable, str(ROOT / "tools" / "run_local.py"), "--state", str(state), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert started.stdout is not None
        answer = json.loads(started.stdout.readline())
        os.environ["HOLDFAST_BENCH_AGENT"] = str(answer["agent"])
        yield state / "run" / "control.sock"
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait(60)


def configure(folder: Path, state: Path, digest: str, *, enabled: bool) -> None:
    settings = state / "etc" / "agent.d"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "integrity.yaml").write_text(
        SETTINGS.format(folder=folder, digest=digest, enabled=str(enabled).lower())
    )


def settle(most_s: float = 90) -> None:
    """Wait until the agent uses less than a twentieth of a processor."""
    until, before = time.monotonic() + most_s, float("-inf")
    while time.monotonic() < until:
        used = sum(map(cpu_s, tree(int(os.environ["HOLDFAST_BENCH_AGENT"]))))
        if used - before < 0.1:
            return
        before = used
        time.sleep(2)
    raise SystemExit(f"the agent does not come to rest within {most_s:g} s")


def holdfast(sock: Path, *words: str) -> Any:
    command = [str(Path(sys.executable).with_name("holdfast")), "integrity", *words, "--socket", str(sock), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.stdout.strip() else None


def first_scan(sock: Path, seconds: float = 900) -> tuple[dict[str, Any], float, float]:
    """Wait for the baseline by looking at the book, which costs the machine next to nothing.

    Returns the row that the agent shows of it, the peak of memory by then, and the processor time when it was just made: packages are
    read after it.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.1)
        for path in sock.parent.parent.rglob("integrity.db"):
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as book:
                try:
                    is_made = book.execute("SELECT 1 FROM facts WHERE name = 'row:scan'").fetchone()
                except sqlite3.OperationalError:
                    continue  # its tables are not there yet
            if is_made:
                _, cpu = reader()
                row = shown_scan(sock, until)
                return row, reader()[0], cpu
    raise SystemExit(f"no baseline within {seconds:g} s")


def shown_scan(sock: Path, until: float) -> dict[str, Any]:
    while time.monotonic() < until:
        shown = holdfast(sock, "show")
        if shown is not None and "scan" in shown["rows"]:
            return dict(shown["rows"]["scan"])
        time.sleep(0.5)
    raise SystemExit("the agent does not show its baseline")


def reader() -> tuple[float, float]:
    """Return the largest resident size in MB, and the seconds of processor time, of the agent's process that holds the integrity book."""
    found: list[tuple[float, float]] = []
    for pid in tree(int(os.environ["HOLDFAST_BENCH_AGENT"])):
        try:
            held = [link for name in os.listdir(f"/proc/{pid}/fd") if (link := _link(f"/proc/{pid}/fd/{name}"))]
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        if any("integrity.db" in path for path in held):
            line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
            found.append((int(line.split()[1]) / 1024, cpu_s(pid)))
    if not found:
        raise SystemExit("the process that holds the book was not found")
    return max(found)


def _link(path: str) -> str:
    """Return where a link leads, "" for one that is gone by now."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def timed(*command: str, codes: range = range(1)) -> tuple[float, float]:
    """Return the seconds that a command takes, and those of processor time."""
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode not in codes:
        raise SystemExit(f"{command[0]} ended with {done.returncode}: {done.stderr.decode()[-300:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def raw_read(folder: Path, threads: int = 2) -> float:
    """Read every file with as many threads as the scan has; returns the seconds."""
    files = [Path(base) / name for base, _, names in os.walk(folder) for name in names]
    parts = [files[number::threads] for number in range(threads)]

    def read(part: list[Path]) -> None:
        buffer = memoryview(bytearray(256 << 10))
        for path in part:
            if path.is_symlink() or not path.is_file():
                continue
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass

    drop_caches()
    start = time.monotonic()
    working = [threading.Thread(target=read, args=(part,)) for part in parts]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    return time.monotonic() - start


def drop_caches() -> None:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def warm_up(folder: Path) -> None:
    subprocess.run(
        ["tar", "-cf", "/dev/null", "--one-file-system", "-C", str(folder), "."], capture_output=True, check=False
    )
    every = ["find", str(folder), "-xdev", "-type", "f", "-exec", "cat", "{}", "+"]
    subprocess.run(every, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def baseline(folder: Path, *, cold: bool, digest: str = "sha256") -> dict[str, float]:
    """Return the figures of a first baseline, and of two rescans."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as state, agent(folder, Path(state), digest) as sock:
        settle()
        configure(folder, Path(state), digest, enabled=True)
        if cold:
            drop_caches()
        os.kill(int(os.environ["HOLDFAST_BENCH_AGENT"]), signal.SIGHUP)
        row, peak, cpu = first_scan(sock)
        taken = []
        for _ in range(0 if cold else 3):
            start = time.monotonic()
            done = holdfast(sock, "scan")
            taken.append(time.monotonic() - start)
            if done["changes"]:
                raise SystemExit(f"a rescan of an unchanged tree found {done['changes']} changes")
    return {
        "seconds": row["seconds"],
        "cpu_s": cpu,
        "files": row["files"],
        "read_mb": row.get("read_bytes", 0) / 1e6,
        "peak_mb": peak,
        "rescan_s": min(taken, default=0.0),
    }


def aide(folder: Path, *, checked: bool) -> dict[str, float]:
    """Return the seconds of aide --init, of its processor time, and of --check where it is asked for."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as state:
        config = Path(state) / "aide.conf"
        config.write_text(AIDE.format(state=state, folder=folder))
        seconds, cpu = timed("aide", f"--config={config}", "--init")
        found = {"aide_init_s": seconds, "aide_init_cpu_s": cpu}
        if checked:
            shutil.move(f"{state}/aide.db.new", f"{state}/aide.db")
            found["aide_check_s"] = timed("aide", f"--config={config}", "--check", codes=range(8))[0]
        return found


def warm(folder: Path, *, checked: bool) -> tuple[dict[str, float], bool]:
    """Return the figures beside those of AIDE, and whether they reach what they are to."""
    warm_up(folder)
    found = baseline(folder, cold=False)
    row = {**found, **aide(folder, checked=checked)}
    row["ratio"] = row["seconds"] / row["aide_init_s"]
    row["cpu_ratio"] = row["cpu_s"] / row["aide_init_cpu_s"]
    row["rescan_s_per_120k"] = share = row["rescan_s"] * 120_000 / row["files"]
    row["load"] = os.getloadavg()[0]
    return row, (
        row["ratio"] <= REACH["warm"] and row["peak_mb"] < REACH["peak_mb"] and share < REACH["rescan_s_per_120k"]
    )


def million(count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        for number in range(count // 100):
            folder = Path(place) / f"{number // 100}" / f"{number % 100}"
            folder.mkdir(parents=True)
            for name in range(100):
                os.close(os.open(f"{folder}/file-{name}", os.O_CREAT | os.O_WRONLY))
        found = baseline(Path(place), cold=False)
        return {"files": found["files"], "seconds": found["seconds"], "peak_mb": found["peak_mb"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("/usr"))
    parser.add_argument("--part", choices=["warm", "cold", "million"], default="warm")
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument(
        "--check", action="store_true", help="aide --check, too, which takes as long as its --init or longer"
    )
    parser.add_argument(
        "--hash",
        choices=["sha256", "blake3"],
        default="sha256",
        help="of the cold one: blake3 shows how much of it is left where hashing costs next to nothing, as with SHA instructions",
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    enter_namespace(__file__)
    compiled()
    row: dict[str, float] = {}
    if arguments.part == "million":
        row = million(arguments.files)
        good = row["peak_mb"] < REACH["million_mb"]
    elif arguments.part == "cold":
        found = baseline(arguments.folder, cold=True, digest=arguments.hash)
        raw = raw_read(arguments.folder)
        row = {**found, "raw_read_s": raw, "ratio": found["seconds"] / raw}
        good = row["ratio"] <= REACH["cold"]
    else:
        row, good = warm(arguments.folder, checked=arguments.check)
    print(json.dumps(row) if arguments.json else "  ".join(f"{name} {value:.3f}" for name, value in row.items()))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
