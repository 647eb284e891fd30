"""The sensor's watcher: what it may fetch and have kept, and what it says without its libraries."""

import pytest

from agent.channel import Ending
from collectors.traffic import watcher
from collectors.traffic.options import EvidenceOptions, Options
from collectors.traffic.watcher import TrafficWatcher
from contracts.errors import Unavailable, Why
from host.linux import LinuxHost
from tests.collectors.traffic.told import Told


def test_only_what_the_settings_name_may_be_fetched() -> None:
    bare = TrafficWatcher.materials(Options())
    assert bare["rules"] == {} and bare["secrets"] == {}
    given = Options(rules=("/a", "/b"), thresholds="/t", evidence=EvidenceOptions(key="file:/k"))
    assert TrafficWatcher.materials(given)["rules"] == {"rules": ("/a", "/b"), "threshold": ("/t",)}
    assert TrafficWatcher.materials(given)["secrets"] == {"secret-evidence": ("file:/k",)}
    small, large = (TrafficWatcher.keeps(Options(evidence=EvidenceOptions(size=size))) for size in (4096, 512 << 10))
    assert small["evidence"][0] == large["evidence"][0] > 512 << 10, "settings that change meanwhile make nobody a liar"


def test_settings_are_checked_when_they_are_read() -> None:
    for wrong in ({"enabled": True}, {"addresses": {"HOME_NET": "nonsense"}}, {"ports": {"HTTP_PORTS": "99999"}}):
        with pytest.raises(ValueError, match=r"interfaces|HOME_NET|HTTP_PORTS"):
            Options(**wrong)  # type: ignore[arg-type]
    assert Options(addresses={"MINE": "[192.0.2.0/24,$HOME_NET]"}).variables().addresses["EXTERNAL_NET"] == "!$HOME_NET"


def test_without_its_libraries_it_says_which_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "_MISSING", ["No module named 'hyperscan'"])
    with pytest.raises(Unavailable) as missing:
        TrafficWatcher(Options(interfaces=("lo",))).watch(LinuxHost(), Told(), Ending())
    assert missing.value.why is Why.TOOL_MISSING and "hyperscan" in missing.value.message
