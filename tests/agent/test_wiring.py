"""The composition root: light to import, complete when asked, and a plan that says what each worker hosts."""

import subprocess
import sys
from pathlib import Path

import pytest

from actions.catalog import CATALOG as ACTIONS
from agent import wiring
from collectors.catalog import CATALOG as COLLECTORS
from settings.errors import ConfigErrors


def planned(tmp_path: Path, text: str = "{}") -> wiring.Plan:
    file = tmp_path / "agent.yaml"
    file.write_text(text)
    return wiring.plan(file)


def test_importing_it_loads_no_collector_and_no_host() -> None:
    code = (
        "import sys, agent.wiring; print([m for m in sys.modules if m.startswith(('host.', 'yaml', 'psutil', 'apprise'))"
        " or m in ('collectors.ports.collector', 'actions.notify')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_default_plan_looks_at_everything_there_is(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert {"firewall", "ports"} <= set(plan.looks)
    assert set(plan.disabled) <= {"traffic", "integrity"}, "what is off until it is configured"
    assert plan.facts.hostname
    assert {spec.name for spec in plan.workers} >= {"netfilter", "reader", "messenger"}


def test_every_worker_is_given_options_and_kinds_of_all_it_hosts(tmp_path: Path) -> None:
    for spec in planned(tmp_path).workers:
        hosted = {*spec.subjects, *spec.watchers, *spec.actions}
        assert set(spec.options) == hosted
        assert set(spec.kinds) == hosted
        assert spec.on_demand == (spec.name in wiring.ON_DEMAND)


def test_a_switched_off_collector_is_neither_looked_at_nor_watched(tmp_path: Path) -> None:
    plan = planned(tmp_path, "collectors: {firewall: {enabled: false}}")
    assert "firewall" in plan.disabled
    assert "firewall" not in plan.looks and "firewall" not in plan.watchers
    (netfilter,) = [spec for spec in plan.workers if spec.name == "netfilter"]
    assert "firewall" not in (*netfilter.subjects, *netfilter.watchers)
    assert netfilter.off == ("firewall",), "a watcher of another subject may ask for it all the same"


def test_a_worker_without_anything_to_do_is_not_started(tmp_path: Path) -> None:
    off = ", ".join(
        f"{name}: {{enabled: false}}" for name in ("ports", "senders", "holdings", "antivirus", "suricata_eve")
    )
    nothing = f"collectors: {{{off}}}"
    assert "reader" not in {spec.name for spec in planned(tmp_path, nothing).workers}


def test_a_switched_off_action_is_no_deed(tmp_path: Path) -> None:
    assert "notify" not in planned(tmp_path, "actions: {notify: {enabled: false}}").deeds


def test_the_digest_changes_with_any_setting(tmp_path: Path) -> None:
    digests = {
        planned(tmp_path, text).digest
        for text in ("{}", "collectors: {ports: {every: 31s}}", "heartbeat: {every: 31s}")
    }
    assert len(digests) == 3


def test_what_is_wrong_is_said_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=r"agent.yaml:1:\d+: rules\[0\].do: there is no action"):
        planned(tmp_path, "rules: [{when: 'ports.*', do: dance}]")


@pytest.mark.parametrize("worker", ["netfilter", "reader", "messenger"])
def test_a_worker_loads_only_what_it_hosts(worker: str) -> None:
    code = f"import sys; from agent import wiring; h = wiring.hosting({worker!r}); print(sorted(h.collectors), sorted(h.actions))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    hosted = [sorted(entry.name for entry in entries if entry.worker == worker) for entries in (COLLECTORS, ACTIONS)]
    assert done.stdout.strip() == f"{hosted[0]} {hosted[1]}"
    assert any(hosted)


def test_every_kind_of_the_machinery_is_known_once() -> None:
    names = [kind.name for kind in wiring.kinds()]
    assert len(names) == len(set(names))
    assert {
        "agent.started",
        "agent.control_refused",
        "agent.worker_died",
        "agent.events_lost",
        "agent.state_set_aside",
    } <= set(names)


def test_the_judges_can_be_made() -> None:
    assert {"listeners", "stale"} <= {judge.name for judge in wiring.judges()}
