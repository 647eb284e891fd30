"""A real ClamAV for the deeds, and a way to have one done."""

import pytest

from actions.antivirus.options import AntivirusOptions
from contracts.action import Command
from contracts.clamav_options import ClamavOptions
from host.linux import LinuxHost
from tests import clamav_lab


@pytest.fixture(scope="session")
def lab():
    """A clamd that runs with a small database of version 27001."""
    with clamav_lab.running() as lab:
        yield lab


@pytest.fixture
def host(tmp_path):
    """This machine, with a folder of the worker's own."""
    host = LinuxHost()
    (tmp_path / "state").mkdir()
    host.state = str(tmp_path / "state")
    return host


@pytest.fixture
def do(lab, host):
    """`do(Action, {settings}, **arguments)` has a deed done by a person and returns the result."""

    def run(action, settings=None, *, dry_run=False, event=None, cause="", **arguments):
        import msgspec

        given = {
            "clamav": {"clamd_conf": str(lab.clamd_conf), "freshclam_conf": str(lab.freshclam_conf)},
            **(settings or {}),
        }
        # Whoever else uses this machine now is nothing to wait for.
        given["scan"] = {"pause_at_most": 0.0, **given.get("scan", {})}
        options = msgspec.convert(given, AntivirusOptions)
        command = Command(
            id="1", action=action.name, arguments=arguments, who="root", dry_run=dry_run, event=event, cause=cause
        )
        return action(options).do(host, command, lambda *_: None)

    run.conf = ClamavOptions
    return run
