"""The joints of one running agent that need no processes; the whole is in test_end_to_end."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent import wiring
from agent.clock import SystemClock
from agent.instance import PatientMemory, core_plan
from agent.sqlite_file import FileFull
from agent.state import State


def test_the_core_learns_which_worker_sees_what(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text("collectors: {firewall: {every: 77s}}")
    found = core_plan(wiring.plan(tmp_path / "agent.yaml"))
    assert found.looks["firewall"] == 77
    assert set(found.hosts["netfilter"]) == {"firewall", "datapath", "bans"}
    assert found.watchers["firewall"] == "firewall"
