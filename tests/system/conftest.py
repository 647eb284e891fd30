"""A Debian root with Holdfast installed by `make install`, booted with a real systemd in a container."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("HOLDFAST_TEST_CACHE", "/var/cache/holdfast-tests"))
PACKAGES = "systemd-sysv,dbus,python3,python3-venv,make,nftables,iptables,procps,iproute2,libcap2-bin,man-db"

PATIENCE_S = 200.0
"""A slow machine that runs other tests beside may take so long for what an idle one does in a few seconds."""
IMPATIENT = """[Service]
ExecStart=
ExecStart=/opt/holdfast/current/bin/python -IB -c "import sys; from agent import daemon, keeper, supervisor; \
    supervisor.Timing = lambda: keeper.Timing(longest_wait_s=0.5); sys.exit(daemon.main(sys.argv[1:]))" -c /etc/holdfast/agent.yaml
"""
"""A drop-in: the installed core in its unit, but for the longest wait between two starts of a worker, which is else 15 seconds."""


def _run(*argv: str, **options: object) -> None:
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout[-8000:]}"


class Container:
    """A booted container: run commands in it, look at its processes, stop it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root.parent / "boot.log"
        self._boot()

    def _boot(self) -> None:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["systemd-nspawn", "--register=no", "--keep-unit", "--boot", "--private-network", "--quiet",
                 # As on a machine of its own; a container may otherwise not even ask which BPF programs there are.
                 "--system-call-filter=bpf",
                 "--console=pipe", f"--directory={self.root}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self.leader = self._find_leader()
        self.wait_for(
            lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip() in {"running", "degraded"}
        )

    def _find_leader(self) -> int:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            assert self._process.poll() is None, self.log.read_text(errors="replace")
            for child in _children(self._process.pid):
                if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return child
            time.sleep(0.1)
        raise AssertionError("the container did not start\n" + self.log.read_text(errors="replace"))

    def run(
        self, *argv: str, check: bool = True, timeout_s: float = 300, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root in all namespaces of the container."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.leader), "-a", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", *argv],
            capture_output=True, text=True, timeout=timeout_s, check=False, input=text or None,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, (
                f"{' '.join(argv)} -> {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.journal()}"
            )
        return done

    def property(self, unit: str, name: str) -> str:
        """Return one property of a unit."""
        return self.run("systemctl", "show", "-P", name, unit).stdout.strip()

    def main_pid(self, unit: str) -> int:
        """Return the main process of a unit, in the container's numbering."""
        return int(self.property(unit, "MainPID"))

    def journal(self) -> str:
        """Return the end of the journal."""
        return self.run("journalctl", "-n", "80", "--no-pager", check=False).stdout

    def wait_for(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait until `condition` holds."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, (
                f"not within {PATIENCE_S:.0f} s: {what}\n{self.journal() if hasattr(self, 'leader') else ''}"
            )
            time.sleep(0.2)

    @contextlib.contextmanager
    def impatient_core(self) -> Iterator[None]:
        """Run the core with a longest wait of half a second before it tries a worker again, and the usual one afterwards."""
        folder = "/run/systemd/system/holdfast-agent.service.d"
        self.run("mkdir", "-p", folder)
        self.run("tee", f"{folder}/impatient.conf", text=IMPATIENT)
        try:
            self.run("systemctl", "daemon-reload")
            self.run("systemctl", "restart", "holdfast-agent.service")
            yield
        finally:
            self.run("rm", "-r", folder)
            self.run("systemctl", "daemon-reload")
            self.run("systemctl", "restart", "holdfast-agent.service")

    def reboot(self) -> None:
        """Boot it anew; its network is a new one, too."""
        self.run("systemctl", "reboot", "--no-block")
        assert self._process.wait(90) == 133  # it asks whoever runs it to run it again
        self._boot()

    def stop(self) -> None:
        """Power the container off."""
        if self._process.poll() is None:
            self.run("systemctl", "poweroff", "--no-block", check=False)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGKILL)
                self._process.wait(10)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


@pytest.fixture(scope="session")
def debian_root() -> Path:
    """A Debian 12 root, made once and kept."""
    assert os.geteuid() == 0, "booting a system needs root; run the other tests with: make unit"
    target = CACHE / "bookworm"
    done = target / ".complete"
    if not done.exists() or done.read_text() != PACKAGES:
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        _run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(target))
        done.write_text(PACKAGES)
    return target


@pytest.fixture(scope="session")
def wheels() -> Path:
    """The locked packages, downloaded once, since the container has no network."""
    target = CACHE / "wheels"
    target.mkdir(parents=True, exist_ok=True)
    lock = ROOT / "requirements" / "run.lock"
    stamp = target / ".lock"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        _run(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--only-binary=:all:",
             "-r", str(lock), "-d", str(target))  # fmt: skip
        stamp.write_bytes(lock.read_bytes())
    return target


def _copy_checkout(target: Path) -> None:
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.split(b"\0")
    for name in filter(None, names):
        source = ROOT / os.fsdecode(name)
        if source.is_file():
            (target / os.fsdecode(name)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / os.fsdecode(name))


@pytest.fixture(scope="session")
def installed(debian_root: Path, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root with Holdfast installed into it by `make install`, as an overlay that leaves the kept root as it is."""
    base = Path(tmp_path_factory.mktemp("system"))
    upper, work, merged = base / "upper", base / "work", base / "root"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g,mode=755", "holdfast-test", str(base)], check=True)
    for folder in (upper, work, merged):
        folder.mkdir()
    try:
        _run(
            "mount",
            "-t",
            "overlay",
            "overlay",
            "-o",
            f"lowerdir={debian_root},upperdir={upper},workdir={work}",
            str(merged),
        )
        try:
            _copy_checkout(merged / "src")
            shutil.copytree(wheels, merged / "wheels")
            _run("systemd-nspawn", "--register=no", "--keep-unit", "--quiet", "--pipe", "--private-network", f"--directory={merged}",
                 "make", "-C", "/src", "install", "PIP_ARGS=--no-index --find-links=/wheels")  # fmt: skip
            yield merged
        finally:
            subprocess.run(["umount", str(merged)], check=False)
    finally:
        subprocess.run(["umount", str(base)], check=False)


@pytest.fixture(scope="session")
def container(installed: Path) -> Iterator[Container]:
    """The installed root, booted."""
    booted = Container(installed)
    try:
        yield booted
    finally:
        booted.stop()


def status(container: Container) -> dict[str, Any]:
    """Return what the agent says of itself, or that it is not there."""
    done = container.run("holdfast", "status", "--json", check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {"console": {"connected": False}, "workers": []}


def enroll(container: Container) -> None:
    """Start the console and the agent in the container, and enroll the agent by a real token unless it is."""
    if not status(container)["console"]["connected"]:
        container.run("systemctl", "start", "holdfast-console.service")
        token = json.loads(container.run("holdfast", "console", "token", "create", "--json").stdout)["token"]
        container.run("holdfast", "enroll", "https://127.0.0.1:8444", "--token", token)
        container.run("systemctl", "enable", "--now", "holdfast-agent.service")
    container.wait_for(lambda: status(container)["console"]["connected"], "the agent reports to the console")
