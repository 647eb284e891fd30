"""A Debian root with apt's lists and real archives at hand, in which packages are really installed, and a judge that runs inside."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SECURITY = "deb {}-security bookworm-security main\n"
"""Where fixes come from, beside the place that debootstrap wrote down."""
PACKAGES = ("openssh-server", "cron", "vim-tiny", "python3-yaml", "nginx-light", "aide", "iputils-ping")
TWO_VERSIONS = ("aide", "openssl", "sudo", "curl", "bind9-host", "git")
ENVIRONMENT = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
APT = ("apt-get", "-q", "-y", "--no-install-recommends", "--allow-downgrades")


def run(*argv: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **options)
    if check:
        assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


@contextmanager
def overlaid(lower: list[Path], base: Path, tmpfs: bool = True) -> Iterator[Path]:
    """An overlay over folders, with what a process needs; on memory unless what is written is to be kept below `base`."""
    base.mkdir(parents=True, exist_ok=True)
    mounts: list[Path] = []
    try:
        if tmpfs:
            run("mount", "-t", "tmpfs", "-o", "size=2g,mode=755", "holdfast-test", str(base))
            mounts.append(base)
        upper, work, merged = base / "upper", base / "work", base / "root"
        for folder in (upper, work, merged):
            folder.mkdir(exist_ok=True)
        over = ":".join(map(str, lower))
        run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={over},upperdir={upper},workdir={work}", str(merged))
        mounts.append(merged)
        run("mount", "--make-shared", str(merged))  # as systemd makes a root, so that a view of its own follows it
        (merged / "holdfast").mkdir(exist_ok=True)
        for source, target in ((ROOT, "holdfast"), (Path("/dev"), "dev")):
            run("mount", "--bind", str(source), str(merged / target))
            mounts.append(merged / target)
            # Read-only: whoever clears away the folders of a test that was killed must not clear away what is bound into them.
            run("mount", "-o", "remount,bind,ro", str(merged / target))
        run("mount", "-t", "proc", "proc", str(merged / "proc"))
        mounts.append(merged / "proc")
        yield merged
    finally:
        for mount in reversed(mounts):
            subprocess.run(
                ["umount", "-l" if mount.name == "dev" else "-v", str(mount)], check=False, capture_output=True
            )


def layer(debian_root: Path, cache: Path) -> Path:
    """What apt needs for the packages above, fetched once and kept: lists, archives, and two versions of one package."""
    target = cache / "packages"
    done = target / ".complete"
    source = (debian_root / "etc/apt/sources.list").read_text()
    stamp = json.dumps([source, PACKAGES, TWO_VERSIONS])
    if done.exists() and done.read_text() == stamp:
        return target / "upper"
    shutil.rmtree(target, ignore_errors=True)
    with overlaid([debian_root], target, tmpfs=False) as root:
        (root / "etc/apt/sources.list").write_text(source + SECURITY.format(source.split()[1].rstrip("/")))
        (root / "etc/resolv.conf").write_bytes(Path("/etc/resolv.conf").read_bytes())
        inside(root, "apt-get", "-q", "update")
        inside(root, *APT, "--download-only", "install", *PACKAGES)
        name, versions = two_versions(root)
        inside(root, *APT, "--download-only", "install", f"{name}={versions[0]}")
        inside(root, *APT, "--download-only", "install", f"{name}={versions[1]}")
    shutil.rmtree(target / "work", ignore_errors=True)
    done.write_text(stamp)
    return target / "upper"


def two_versions(root: Path) -> tuple[str, tuple[str, str]]:
    """A package that the lists have in two versions, with the older and the newer one."""
    for name in TWO_VERSIONS:
        lines = inside(root, "apt-cache", "madison", name).stdout.splitlines()
        found = list(dict.fromkeys(line.split("|")[1].strip() for line in lines))
        if len(found) >= 2:
            return name, (found[1], found[0])
    raise AssertionError("no package of the list has two versions")


def inside(root: Path, *argv: str, check: bool = True, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in the root."""
    return run("chroot", str(root), *ENVIRONMENT, *argv, check=check, input=text or None)


class Judge:
    """`driver.py` inside the root: `look`, `learn`, `judge`, `watch`; or `wired.py`: `begin`, `told`."""

    def __init__(self, root: Path, *roots: str, driver: str = "driver.py") -> None:
        site = next(Path(os.fspath(ROOT), ".venv/lib").glob("python3.*/site-packages")).relative_to(ROOT)
        self._process = subprocess.Popen(
            ["chroot", str(root), *ENVIRONMENT, "PYTHONDONTWRITEBYTECODE=1", f"PYTHONPATH=/holdfast:/holdfast/{site}",
             "/usr/bin/python3", f"/holdfast/tests/collectors/integrity/packages/{driver}", "/var/lib/holdfast-test/state", *roots],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __call__(self, word: str) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._process.stderr.read()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
