"""Malware in the installed agent under a real systemd: the sandboxes of steward, reader and relay let the deeds be done, and no more."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import clamav_lab
from tests.system.conftest import CACHE, Container
from tests.system.debian_packages import APT, inside, overlaid

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

WANTED = ("clamav-daemon", "clamav-freshclam", "clamav")
POLICY = "#!/bin/sh\nexit 101\n"
"""Nothing is started by being installed."""
UNCONDITIONAL = "[Unit]\nConditionPathExistsGlob=\n"


@pytest.fixture(scope="session")
def clamav_archives(debian_root: Path) -> Path:
    """Debian's ClamAV and all that it needs, downloaded once, since the container has no network."""
    target = CACHE / "clamav"
    done = target / ".complete"
    if not done.exists() or done.read_text() != " ".join(WANTED):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        with overlaid([debian_root], target / "overlay", tmpfs=True) as root:
            (root / "etc/resolv.conf").write_bytes(Path("/etc/resolv.conf").read_bytes())
            inside(root, "apt-get", "-q", "update")
            inside(root, *APT, "--download-only", "install", *WANTED)
            for archive in (root / "var/cache/apt/archives").glob("*.deb"):
                shutil.copy(archive, target)
        shutil.rmtree(target / "overlay", ignore_errors=True)
        done.write_text(" ".join(WANTED))
    return target


@pytest.fixture(scope="module")
def system(container: Container, clamav_archives: Path) -> Iterator[Container]:
    """The container with a clamd that has a small database, and a configuration that names it."""
    root = container.root
    (root / "archives").mkdir()
    for archive in clamav_archives.glob("*.deb"):
        shutil.copy(archive, root / "archives")
    (root / "usr/sbin/policy-rc.d").write_text(POLICY)
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    container.run("sh", "-c", "DEBIAN_FRONTEND=noninteractive dpkg -i /archives/*.deb")
    container.run("systemctl", "disable", "--now", "clamav-freshclam.service", check=False)
    (root / "var/lib/clamav/daily.cud").write_bytes(clamav_lab.database(27001))
    container.run("chown", "clamav:clamav", "/var/lib/clamav/daily.cud")
    for unit in ("clamav-daemon.service", "clamav-daemon.socket"):  # which ask for a main.cvd
        container.run("mkdir", "-p", f"/run/systemd/system/{unit}.d")
        container.run("tee", f"/run/systemd/system/{unit}.d/small.conf", text=UNCONDITIONAL)
    container.run("systemctl", "daemon-reload")
    container.run("systemctl", "start", "clamav-daemon.service")
    container.wait_for(lambda: _answers(container), "clamd")
    container.run("systemctl", "start", "holdfast-console.service")
    if not json.loads(container.run("holdfast", "console", "agents", "list", "--json").stdout):
        token = json.loads(container.run("holdfast", "console", "token", "create", "--json").stdout)["token"]
        container.run("holdfast", "enroll", "https://127.0.0.1:8444", "--token", token)
    container.run("systemctl", "restart", "holdfast-agent.service")
    container.wait_for(lambda: "daemon answers" in _said(container, "status"), "the reader sees clamd")
    yield container
    container.run("systemctl", "stop", "clamav-daemon.socket", "clamav-daemon.service", check=False)


def _answers(container: Container) -> bool:
    return container.run("test", "-S", "/run/clamav/clamd.ctl", check=False).returncode == 0


def _said(container: Container, *words: str) -> str:
    return container.run("holdfast", "antivirus", *words, check=False).stdout


def _told(container: Container, *words: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(container.run("holdfast", "antivirus", *words, "--json").stdout)
    return told


def test_proof_scan_quarantine_restore_and_relay_work_inside_their_sandboxes(system: Container) -> None:
    proved = _told(system, "prove")
    assert proved["kind"] == "antivirus.proved" and proved["fields"]["reached_ms"] > 0, "the console has the report"
    pid = system.main_pid("holdfast-steward")
    status = system.run("cat", f"/proc/{pid}/status").stdout
    assert "CapBnd:\t000000000000000f" in status and "Seccomp:\t2" in status, "in its own unit"
    places = ("/root/bad", "/home/person/bad", "/tmp/bad", "/srv/bad", "/usr/local/bad")
    system.run("mkdir", "-p", "/home/person")
    for place in places:
        system.run(
            "sh",
            "-c",
            f"printf %s '{clamav_lab.EICAR.decode()}' > {place}; chmod 4750 {place}; chown 1234:1234 {place}; chmod 4750 {place}",
        )
    found = system.run("holdfast", "antivirus", "scan", *places, check=False)
    assert found.returncode == 1 and found.stdout.count("FOUND") == len(places), found.stdout + found.stderr
    for place in places:
        system.run("holdfast", "antivirus", "quarantine", "add", place)
        assert system.run("test", "-e", place, check=False).returncode == 1
    entries = _told(system, "quarantine", "list")["entries"]
    assert sorted(each["path"] for each in entries) == sorted(places)
    for each in entries:
        system.run("holdfast", "antivirus", "quarantine", "restore", each["entry"])
        stat = system.run("stat", "-c", "%a %u:%g", each["path"]).stdout.strip()
        assert stat == "750 1234:1234", f"{each['path']} is as it was, but for setuid"
        system.run("rm", each["path"])
    assert system.run("holdfast", "antivirus", "scan", "/srv").returncode == 0


ASK = """
import urllib.error, urllib.request
for name in ("daily.cud", "main.cvd", "../quarantine/x"):
    try:
        urllib.request.urlopen("http://127.0.0.1:8446/" + name, timeout=60)
    except urllib.error.HTTPError as error:
        print(error.code)
print(len(urllib.request.urlopen("http://127.0.0.1:8446/daily.cvd", timeout=60).read()))
"""


def test_the_relay_serves_signed_databases_from_its_unit(system: Container) -> None:
    folder = "/var/lib/holdfast/steward/signatures"
    system.run("install", "-d", "-m", "700", "-o", "holdfast-steward", "-g", "holdfast-steward", folder)
    signed = b":".join(
        [b"ClamAV-VDB", b"22 Nov 2026 01-00 +0000", b"27001", b"1", b"90", b"X" * 32, b"signature", b"x", b"1"]
    )
    (system.root / folder[1:] / "daily.cvd").write_bytes(signed.ljust(512) + b"content")
    system.run("chown", "holdfast-steward:", f"{folder}/daily.cvd")
    system.run("systemctl", "start", "holdfast-relay.service")
    try:
        system.wait_for(lambda: ":8446" in system.run("ss", "-tln").stdout, "the relay listens")
        assert system.run("python3", "-c", ASK).stdout.split() == ["404", "404", "404", "519"]
        pid = system.main_pid("holdfast-relay")
        assert "CapEff:\t0000000000000000" in system.run("cat", f"/proc/{pid}/status").stdout
    finally:
        system.run("systemctl", "stop", "holdfast-relay.service")
