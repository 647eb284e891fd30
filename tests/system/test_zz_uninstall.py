"""An admin's file survives another install, and uninstall removes all but state and configuration. Runs late: nothing is left."""

from pathlib import Path

import pytest

from tests.system.conftest import enroll, status

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]


def test_uninstall_and_install_keep_an_admins_file(container) -> None:
    system = container
    enroll(system)
    system.run("sh", "-c", "echo '# mine' >> /etc/holdfast/agent.yaml")
    before = system.run("cat", "/etc/holdfast/agent.yaml").stdout
    system.run("make", "-C", "/src", "install", "PIP_ARGS=--no-index --find-links=/wheels", timeout_s=600)
    assert system.run("cat", "/etc/holdfast/agent.yaml").stdout == before
    system.wait_for(lambda: status(system)["console"]["connected"], "the upgraded agent reports")
    assert system.run("man", "-w", "8", "holdfast", check=False).returncode == 0
    system.run("make", "-C", "/src", "uninstall")
    for gone in (
        "/usr/bin/holdfast",
        "/opt/holdfast",
        "/usr/lib/systemd/system/holdfast-agent.service",
        "/run/holdfast",
    ):
        assert not (system.root / gone.lstrip("/")).exists() and not (system.root / gone.lstrip("/")).is_symlink(), gone
    assert system.run("cat", "/etc/holdfast/agent.yaml").stdout == before
    assert Path(system.root / "var/lib/holdfast/agent").is_dir()
    system.run("make", "-C", "/src", "uninstall", "PURGE=1")
    assert not (system.root / "etc/holdfast").exists()
    assert system.run("getent", "passwd", "holdfast", check=False).returncode != 0
