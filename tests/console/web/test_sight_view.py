"""Seen, partly seen, not seen and never looked are four different things."""

import msgspec
import pytest

from console.store.records import Agent, AgentDetail, Subject
from console.web.sight_view import coverage_view, dated, why_empty
from contracts.coverage import Blind, Coverage, Sight
from contracts.errors import Why

AT = 1_795_280_000_000
BLIND = Blind(what="legacy tables", why=Why.PERMISSION, detail="CAP_NET_RAW is missing", fix="run as a service")
SUBJECT = Subject(agent="a", subject="ports", revision=4, at_ms=AT, rows={})


@pytest.fixture
def stating(site):
    """An agent whose last heartbeat stated these sights."""

    def make(*sights):
        agent = site.agent()
        agent.heartbeat(sights)
        return site.run(site.store.agent(agent.id, site.now_ms))

    return make


def test_the_worst_comes_first_and_what_is_seen_is_dated(stating):
    seen = Sight(subject="b", state="seen", last_ok_ms=AT, rows=1)
    view = coverage_view(
        stating(seen, Sight(subject="c", state="unknown"), Sight(subject="a", state="unseen", blind=(BLIND,)))
    )
    assert [sight.subject for sight in view.sights] == ["a", "c", "b"]
    assert view.sights[2].dated == "at 2026-11-21 16:53:20 UTC, 1 row"
    assert view.summary.startswith("1 of 3 subjects wholly seen")
    assert view.tone == "warn"


def test_seen_without_a_date_is_not_believed(stating):
    sight = coverage_view(stating(Sight(subject="ports", state="seen"))).sights[0]
    assert (sight.state, sight.sign.tone) == ("unknown", "")


def test_an_agent_without_a_word_about_its_sight_is_not_known():
    never = AgentDetail(agent=Agent(id="a", name="a"))
    assert "No heartbeat has arrived" in coverage_view(never).unknown


def test_no_rows_can_mean_four_things():
    ok = Sight(subject="ports", state="seen", last_ok_ms=AT)
    assert why_empty(ok, SUBJECT, "ports")[0] == "None"
    assert why_empty(ok, msgspec.structs.replace(SUBJECT, complete=False), "ports")[0] == "Still arriving"
    assert why_empty(None, None, "ports")[0] == "Not looked yet"
    word, reason = why_empty(Sight(subject="ports", state="unseen", blind=(BLIND,)), None, "ports")
    assert word == "Not seen"
    assert (
        reason
        == "Whether there are ports is not known: legacy tables: permission is missing. CAP_NET_RAW is missing run as a service"
    )


def test_old_rows_of_a_subject_that_went_dark_are_said_to_be_old():
    text = dated(Sight(subject="ports", state="unseen", since_ms=AT + 60_000), SUBJECT)
    assert "may no longer be true" in text
    assert dated(None, None) == ""
    assert Coverage().unseen() == ()


@pytest.mark.parametrize("at_ms", [0, AT])
def test_what_a_server_has_none_of_is_neither_seen_nor_waited_for(stating, at_ms):
    none = Blind(what="suricata_eve", why=Why.NOT_PRESENT, detail="no such file")
    sight = coverage_view(stating(Sight(subject="suricata_eve", state="seen", last_ok_ms=at_ms, blind=(none,)))).sights[
        0
    ]
    assert (sight.state, sight.sign.word) == ("absent", "None here")
