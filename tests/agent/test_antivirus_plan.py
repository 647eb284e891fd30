"""Deeds with a time of day come from the settings."""

from actions.antivirus.options import AntivirusOptions, ProofOptions, ScanOptions, UpdateOptions
from agent.antivirus_plan import PROOF, antivirus_plan


def test_updates_scan_and_proof_have_their_times_and_each_host_its_own():
    valid, timed = antivirus_plan(AntivirusOptions(), "a" * 32)
    assert valid == 172800.0 and len(timed) == 6
    assert timed["antivirus scan"].arguments == {"delta": True} and timed[PROOF].action == "antivirus_prove"
    other = antivirus_plan(AntivirusOptions(), "b" * 32)[1]
    assert {name: each.at for name, each in other.items()} != {name: each.at for name, each in timed.items()}


def test_without_splay_the_times_are_those_of_the_settings():
    update = UpdateOptions(at=("01:00",), splay=0.0)
    timed = antivirus_plan(AntivirusOptions(update=update), "a")[1]
    assert timed["antivirus update 1"].at == "01:00"


def test_what_is_switched_off_is_not_planned():
    assert antivirus_plan(AntivirusOptions(enabled=False), "a") == (0.0, {}) == antivirus_plan(None, "a")
    off = AntivirusOptions(
        scan=ScanOptions(enabled=False), proof=ProofOptions(enabled=False), update=UpdateOptions(at=())
    )
    assert antivirus_plan(off, "a") == (0.0, {})
