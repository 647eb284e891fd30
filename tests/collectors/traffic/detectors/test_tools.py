"""A few real tools against a real victim in namespaces; `make soak-traffic-tools` runs all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collectors.traffic.detectors.arena import Arena
from tests.collectors.traffic.detectors.tools import HOSTS, SCENARIOS, Stage, play

CHOSEN = ("ordinary traffic", "nmap -sS", "nmap -sT", "nmap -sU", "hping3 SYN", "hydra SSH", "curl with attacks")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Return hosts on one switch, with the victim's services started when they are wanted."""
    folder = tmp_path_factory.mktemp("tools")
    for one in (folder, *folder.parents[:2]):
        one.chmod(0o755)
    with Arena(*HOSTS) as arena:
        yield Stage(arena, Path(folder), set())


@pytest.mark.parametrize("name", CHOSEN)
def test_a_real_tool_is_found_and_ordinary_traffic_is_not(stage: Stage, name: str) -> None:
    watch, wrong = play(stage, name)
    assert wrong == ""
    assert watch.packets > 20


def test_every_scenario_says_what_it_expects() -> None:
    assert [name for name, one in SCENARIOS.items() if not one.expected] == ["ordinary traffic"]
