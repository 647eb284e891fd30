"""How antivirus stands: the age of what is at work decides, and whatever was not seen is never fresh."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from analysis.antivirus.standing import findings
from contracts.subjects.antivirus import Database, Done, Product, Updater

NOW = 1_800_000_000_000
HOUR = 3_600_000
DAILY = Database(
    name="daily", form="cvd", version=100, built_ms=NOW - 5 * HOUR, changed_ms=NOW - 5 * HOUR, signed="verified"
)


def clamav(age_h=5.0, loaded_h=None, **more):
    built = round(NOW - age_h * HOUR)
    product = Product(
        name="clamav",
        provider="clamav",
        version=100,
        built_ms=built,
        databases=(replace(DAILY, built_ms=built),),
        updater=Updater(state="running"),
    )
    if loaded_h is not None:
        product = replace(product, daemon="answers", loaded_version=100, loaded_ms=round(NOW - loaded_h * HOUR))
    return replace(product, **more)


def found(product, **done):
    return findings({"clamav": product}, done, NOW)


def test_fresh_signatures_are_nothing_to_speak_of():
    assert found(clamav(23.9)) == {} == found(clamav(23.9, loaded_h=23.9))


@pytest.mark.parametrize(("age_h", "severity"), [(24, 3), (71.9, 3), (72, 5), (1000, 5)])
def test_age_decides_how_bad_it_is(age_h, severity):
    finding = found(clamav(age_h))["clamav"]
    assert (finding.kind, finding.severity) == ("antivirus.signatures_stale", severity)
    assert "on the disk (version 100)" in finding.detail


def test_a_daemon_that_never_reloaded_is_stale_however_fresh_the_disk_is():
    product = clamav(2, loaded_h=80, loaded_version=97)
    both = found(product)
    assert both["clamav"].severity == 5 and "newer ones are on the disk" in both["clamav"].detail
    assert both["clamav/loaded"].kind == "antivirus.daemon_behind"


def test_a_daemon_is_given_time_to_reload():
    recent = replace(DAILY, changed_ms=NOW - 60_000)
    assert "clamav/loaded" not in found(clamav(2, loaded_h=3, loaded_version=99, databases=(recent,)))


@pytest.mark.parametrize(
    ("updater", "why"),
    [
        (Updater(state="running", retry_after_ms=NOW + HOUR), "asked freshclam to wait another 60 min"),
        (Updater(state="missing"), "freshclam is not installed"),
        (Updater(state="stopped"), "freshclam does not run"),
        (Updater(state="running", trouble="error: Can't download"), "freshclam says: error: Can't download"),
        (Updater(state="unknown", detail="its log cannot be read"), "not known (its log cannot be read)"),
    ],
)
def test_it_says_why(updater, why):
    assert why in found(clamav(30, updater=updater))["clamav"].detail


def test_what_is_the_newest_there_is_stays_a_warning():
    dns = Done(what="current/clamav/dns", at_ms=NOW - HOUR, state="known", version=100)
    finding = found(clamav(100), **{"current/clamav/dns": dns})["clamav"]
    assert finding.severity == 3 and "nothing newer is known of (dns)" in finding.detail
    newer = found(clamav(100), **{"current/clamav/dns": replace(dns, version=104)})["clamav"]
    assert newer.severity == 5 and "104 is current (dns)" in newer.detail
    old = found(clamav(100), **{"current/clamav/dns": replace(dns, at_ms=NOW - 60 * HOUR)})["clamav"]
    assert old.severity == 5


def test_not_seen_is_not_fresh():
    assert (
        found(clamav(0, built_ms=0, unknown=("/var/lib/clamav may not be read",)))["clamav"].kind
        == "antivirus.freshness_unknown"
    )
    assert found(clamav(0, built_ms=0))["clamav"].severity == 5
    assert found(clamav(-5))["clamav"].kind == "antivirus.freshness_unknown"


def test_none_installed_is_a_finding():
    assert findings({}, {}, NOW)["none"].kind == "antivirus.none_installed"


def test_broken_databases_silent_daemons_and_switched_off_products_are_named():
    broken = replace(DAILY, flaw="the file ends after 100 bytes, within its header")
    product = clamav(1, daemon="silent", daemon_detail="connection refused", databases=(broken,), protects=False)
    assert {"clamav/daily.cvd", "clamav/daemon", "clamav/protects"} <= set(found(product))


def test_a_proof_that_is_too_old_makes_it_unproved():
    proof = Done(what="proof", at_ms=NOW - 50 * HOUR, state="proved", valid_s=48 * 3600)
    assert found(clamav(), proof=proof)["proof"].kind == "antivirus.unproved"
    assert "proof" not in found(clamav(), proof=replace(proof, at_ms=NOW - HOUR))
    assert "proof" in found(clamav(), proof=replace(proof, at_ms=0, state="never"))


@given(st.floats(0, 2000), st.floats(0, 2000))
def test_it_never_gets_better_by_growing_older(first, second):
    young, old = sorted((first, second))
    severity = [max((each.severity for each in found(clamav(age)).values()), default=0) for age in (young, old)]
    assert severity[0] <= severity[1]
