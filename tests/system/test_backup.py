"""A backup by the installed agent under a real systemd: the sandbox hides nothing from it, and the host's restic restores it."""

import json
import os
import subprocess

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

CONFIG = """backup:
  pressure: {pause_at_most: 0s}
  jobs:
    system:
      repository: /srv/backup/system
      paths: [/etc, /home, /root, /tmp/holdfast-kept, /var/tmp, /usr/lib/modules, /boot]
      excludes: []
"""
PLANTED = (
    "/etc/holdfast-secret",
    "/home/person/file",
    "/root/file",
    "/tmp/holdfast-kept/file",
    "/var/tmp/file",
    "/usr/lib/modules/file",
    "/boot/file",
)


@pytest.fixture(scope="module")
def system(container):
    """The container with the agent running and one backup job."""
    for path in PLANTED:
        container.run("mkdir", "-p", os.path.dirname(path))
        container.run("tee", path, text=f"planted at {path}")
        container.run("chmod", "600", path)
    container.run("tee", "/etc/holdfast/agent.d/backup.yaml", text=CONFIG)
    made = json.loads(container.run("holdfast", "backup", "init", "--json").stdout)
    assert made["password_file"] == "/etc/holdfast/keys/system"
    container.run("systemctl", "restart", "holdfast-agent.service")
    container.wait_for(lambda: container.run("holdfast", "status", check=False).returncode in (0, 1), "the agent")
    yield container
    container.run("rm", "/etc/holdfast/agent.d/backup.yaml")
    container.run("systemctl", "reload", "holdfast-agent.service")


def test_it_sees_every_place_is_proved_and_gives_way(system, tmp_path) -> None:
    told = json.loads(system.run("holdfast", "backup", "run", "--json").stdout)
    assert told["ok"], told
    assert told["answer"]["code"] == 0, told["answer"]["paths"]
    pid = system.main_pid("holdfast-backup")
    assert system.run("ps", "-o", "ni=,user=", "-p", str(pid)).stdout.split()[0] == "10"
    status = system.run("cat", f"/proc/{pid}/status").stdout
    assert "CapEff:\t0000000000000004" in status, "CAP_DAC_READ_SEARCH alone"
    assert system.run("holdfast", "backup", "status").returncode == 0
    assert json.loads(system.run("holdfast", "backup", "status", "--json").stdout)["system"]["state"] == "ok"
    stated = system.run("holdfast", "events", "--json").stdout
    assert "backup.upkeep_failed" not in stated
    assert "backup.fully_proved" in stated, "its sandbox lets it restore everything that its user may"
    password = system.run("cat", "/etc/holdfast/keys/system").stdout.strip()
    environment = {**os.environ, "RESTIC_PASSWORD": password}
    repository = f"{system.root}/srv/backup/system"
    restic = ["restic", "--no-cache", "--no-lock", "-r", repository]
    subprocess.run([*restic, "check", "--read-data"], env=environment, check=True, capture_output=True)
    subprocess.run(
        [*restic, "restore", "latest", "--target", tmp_path], env=environment, check=True, capture_output=True
    )
    for path in PLANTED:
        assert (tmp_path / path[1:]).read_text() == f"planted at {path}"
    sheet = subprocess.run(
        [*restic, "dump", "--tag", "recovery-sheet", "latest", "/recovery/sheet.txt"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "NOT SEEN" not in sheet, "packages, users, file systems and services are seen from within the sandbox"
    assert "NOT PROVED: there is no recovery key" in sheet
    assert "without this host" in system.run("holdfast", "coverage", check=False).stdout


def test_a_person_restores_in_place_as_root(system) -> None:
    system.run("tee", "/etc/holdfast-secret", text="ruined")
    system.run("holdfast", "backup", "restore", "latest", "/etc/holdfast-secret", "--target", "/", "--verify")
    assert system.run("cat", "/etc/holdfast-secret").stdout == "planted at /etc/holdfast-secret"
    assert system.run("stat", "-c", "%a %U", "/etc/holdfast-secret").stdout.strip() == "600 root"
