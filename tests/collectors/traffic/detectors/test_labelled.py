"""The labelled set: every attack is found as what it is, nothing benign is found loud."""

import random

import pytest

from contracts.event import Severity
from tests.collectors.traffic.detectors.benign import BENIGN
from tests.collectors.traffic.detectors.labelled import ATTACKS, run, tables


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_found(name: str) -> None:
    found = run(ATTACKS[name], seed=7)
    assert f"traffic.{ATTACKS[name].expected}" in {one.kind.name for one in found}


@pytest.mark.parametrize("name", BENIGN)
def test_benign_traffic_is_not_loud(name: str) -> None:
    loud = [one for one in run(BENIGN[name], seed=7) if one.severity > Severity.LOW]
    assert loud == []


def test_what_anyone_can_forge_accuses_nobody() -> None:
    for name in (
        "SYN scan",
        "UDP scan",
        "scan with decoys",
        "SYN flood, one sender",
        "UDP flood",
        "ACK scan",
        "open resolver abused",
    ):
        for one in run(ATTACKS[name], seed=3):
            event = one.event(blocking=True)
            assert one.forgeable and event.fields["offender"] == "" and event.fields["blocking"] is False, name


def test_what_a_handshake_proves_names_the_offender() -> None:
    for name in ("connect scan", "SSH guessing", "FTP guessing", "HTTP flood", "slow headers", "injections"):
        # (A scan may be told before it is proven, and again then.)
        *_, one = [one for one in run(ATTACKS[name], seed=3) if one.kind.name == f"traffic.{ATTACKS[name].expected}"]
        event = one.event(blocking=True)
        assert event.fields["offender"] == one.sender != "" and event.fields["blocking"] is True, name


def test_the_tables_count_what_was_missed() -> None:
    mistaken = type(ATTACKS["SYN scan"])(BENIGN["NTP"].make, "ports_scanned")
    rows, wrong = tables({"no scan": mistaken}, seeds=1)
    assert wrong == 1
    assert any("ports_scanned" in row and "| 0 | 1 |" in row for row in rows)


def test_scenes_are_the_same_for_the_same_seed() -> None:
    scene = ATTACKS["DNS tunnel"]
    assert scene.make(random.Random(4)) == scene.make(random.Random(4)) != scene.make(random.Random(5))
