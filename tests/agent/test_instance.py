"""The joints of one running agent that need no processes; the whole is in test_end_to_end."""

from pathlib import Path

from agent import wiring
from agent.instance import core_plan


def test_the_core_learns_which_worker_sees_what(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text("collectors: {firewall: {every: 77s}}")
    found = core_plan(wiring.plan(tmp_path / "agent.yaml"))
    assert found.looks["firewall"] == 77
    assert set(found.hosts["netfilter"]) == {"firewall", "datapath", "bans"}
    assert found.watchers["firewall"] == "firewall"
