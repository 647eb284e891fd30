"""The policy section of a server's page: whether what is declared is kept, and what is not."""

import msgspec
import pytest

from contracts.coverage import Blind, Sight
from contracts.errors import Why
from contracts.policy import Policy, Service, digest
from contracts.subjects import policy, policy_drift
from contracts.subjects.policy import Declared
from contracts.subjects.policy_drift import Difference, Drift
from tests.console.web.conftest import SEEN

POLICY = Policy(enforce=True, services={"ssh": Service(ports=("22",)), "web": Service(ports=("80",))})
SIGHT = Sight(subject="policy_drift", state="seen", last_ok_ms=1_795_280_000_000)
OPENED = Difference(
    vantage="internet", family=4, protocol="tcp", change="open", address="198.51.100.5", ports=(9000,), others=True,
    why="tcp dport 9000 accept", chain="inet filter input",
)  # fmt: skip


@pytest.fixture
def page(site, viewer):
    """Returns the section of a server with the policy and the differences given, as text."""
    agent = site.agent()

    def shown(*differences: Difference, declared: Policy | None = POLICY, sight: Sight | None = SIGHT) -> str:
        agent.heartbeat(coverage=(*SEEN, *([sight] if sight else [])))
        if declared is not None:
            agent.rows(policy.SUBJECT, {policy.KEY: Declared(policy=declared, digest=digest(declared))})
        rows = {f"d{number}": Drift(difference=each, since_ms=site.now_ms) for number, each in enumerate(differences)}
        agent.rows(policy_drift.SUBJECT, rows)
        text = viewer.text(f"/agents/{agent.id}")
        return text[text.index(" Firewall policy ") : text.index(" Listening ports ")]

    shown.agent = agent
    return shown


def test_a_policy_that_holds_is_said_to_be_kept_with_its_date(page, viewer) -> None:
    text = page()
    assert "declared: ssh, web" in text
    assert "Kept" in text and "Seen at" in text
    assert 'class="sheet " id="policy"' in viewer.last


def test_what_is_open_and_not_declared_stands_out_with_the_rule(page, viewer) -> None:
    text = page(OPENED, msgspec.structs.replace(OPENED, change="closed", ports=(80,), services=("web",), others=False))
    for part in ("tcp 9000, every other port", "Not declared", "inet filter input", "tcp dport 9000 accept", "IPv4"):
        assert part in text
    assert text.index("Not declared") < text.index("Not reachable")
    assert "tcp 80 (web)" in text and "2 differences" in text and "Kept" not in text
    assert 'class="sheet bad" id="policy"' in viewer.last


def test_what_cannot_be_decided_is_no_keeping(page) -> None:
    text = page(msgspec.structs.replace(OPENED, change="undecided", unknown=("limit rate 3/minute",)))
    assert "Uncertain" in text and "not known: limit rate 3/minute" in text and "Kept" not in text


def test_without_a_policy_it_says_how_to_declare_one(page) -> None:
    text = page(declared=None)
    assert "No policy declared" in text and "firewall.policy" in text and "Kept" not in text


def test_a_policy_that_was_not_judged_is_not_kept(page) -> None:
    blind = (Blind(what="the firewall", why=Why.TOOL_MISSING, detail="nft is not installed"),)
    text = page(sight=Sight(subject="policy_drift", state="unseen", blind=blind))
    assert "Not seen" in text and "nft is not installed" in text and "Kept" not in text
    assert "Not looked yet" in page(sight=None)


def test_from_where_it_could_not_be_judged_is_named(page) -> None:
    blind = (Blind(what="whether the policy holds towards far over IPv4", why=Why.NOT_PRESENT, detail="no route"),)
    text = page(sight=Sight(subject="policy_drift", state="partial", blind=blind, last_ok_ms=1_795_280_000_000))
    assert "Not judged: whether the policy holds towards far over IPv4 (no route)" in text


def test_of_a_silent_server_nothing_is_called_kept_now(page, site, viewer) -> None:
    for later_ms, green in ((0, True), (200_000, False)):
        page()
        site.now_ms += later_ms
        part = viewer.get(f"/agents/{page.agent.id}").text.split('id="policy"')[1].split("</section>")[0]
        assert "Kept" in part
        assert ("good" in part) == green


def test_too_many_differences_are_cut_and_rows_of_another_version_named(page, viewer) -> None:
    text = page(*(msgspec.structs.replace(OPENED, ports=(port,)) for port in range(1, 131)))
    assert "30 further differences are not shown" in text
    page.agent.rows(policy_drift.SUBJECT, {"new": b'{"other":1}'})
    assert "could not be understood" in viewer.text(f"/agents/{page.agent.id}")
