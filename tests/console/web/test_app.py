"""The application as a whole: hostile content on every page."""

import re

from contracts.coverage import Blind, Sight
from contracts.errors import Why
from contracts.event import Severity
from contracts.outcome import Failed, Run
from contracts.subjects import firewall, ports
from contracts.wire import WorkerState

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}\x1b[31m\u202egpj.exe\u0000" + "A" * 3000
RAW = ("<script>alert", "<img src=x", "\x1b", "\u202e", "\x00")


def poison(site):
    agent = site.agent(EVIL[:200])
    agent.heartbeat(
        (Sight(subject=EVIL, state="partial", blind=(Blind(what=EVIL, why=Why.OTHER, detail=EVIL, fix=EVIL),)),),
        version=EVIL[:50],
        workers=(WorkerState(name=EVIL, state=EVIL, detail=EVIL),),
        runs=(Run(name=EVIL, started_ms=2**60, outcome=Failed(error=EVIL)),),
    )
    listener = ports.Listener(
        protocol=EVIL,
        family=6,
        address=EVIL,
        port=1,
        scope=EVIL,
        process=EVIL,
        executable=EVIL,
        user=EVIL,
        unit=EVIL,
        package=EVIL,
    )
    agent.rows(ports.SUBJECT, {EVIL: listener, "x": b'{"a":1}'})
    row = firewall.Row
    agent.rows(
        firewall.SUBJECT,
        {
            "summary": row(
                what="summary",
                summary=firewall.Summary(backends=(EVIL,), makers=(EVIL,), policy4=EVIL, filtering4=EVIL),
            ),
            EVIL: row(what="rule", family=EVIL, table=EVIL, name=EVIL, text=EVIL),
            "chain " + EVIL: row(what="chain", family=EVIL, table=EVIL, name=EVIL, hook=EVIL, policy=EVIL),
            "set " + EVIL: row(what=EVIL, family=EVIL, table=EVIL, name=EVIL, type=EVIL, text=EVIL),
        },
    )
    agent.event(
        EVIL, EVIL, Severity.HIGH, fields={EVIL: EVIL, "list": [EVIL]}, evidence={EVIL: EVIL}, drill=EVIL, dedup=EVIL
    )
    return agent


def test_nothing_that_an_agent_says_becomes_markup_or_hides_itself(site, admin):
    agent = poison(site)
    place = re.search(r'href="(/events/[0-9]+-[0-9]+)"', admin.get("/events").text)[1]
    for path in (
        "/",
        f"/agents/{agent.id}",
        f"/agents/{agent.id}/firewall",
        "/events",
        place,
        "/audit",
        "/tokens",
        "/users",
        "/about",
    ):
        page = admin.get(path)
        assert page.status_code == 200, path
        for raw in RAW:
            assert raw not in page.text, (path, raw)
        assert len(page.text) < 400_000
    assert "⟨U+202E⟩" in admin.get(f"/agents/{agent.id}").text


def test_nothing_that_a_person_types_becomes_markup(site, admin):
    admin.get("/tokens")
    admin.post("/tokens", {"note": EVIL[:150], "valid": "3600"})
    for path in (
        "/tokens",
        "/audit",
        f"/?q={EVIL[:60]}",
        f"/events?q={EVIL[:60]}&kind={EVIL[:60]}",
        "/login?next=" + EVIL[:60],
    ):
        assert "<script>alert" not in admin.get(path, params=None).text


def test_every_page_has_landmarks_a_title_and_one_heading(site, full, admin):
    for path in (
        "/",
        f"/agents/{full.id}",
        f"/agents/{full.id}/firewall",
        "/events",
        "/tokens",
        "/users",
        "/audit",
        "/about",
        "/account",
    ):
        page = admin.get(path).text
        assert page.count("<h1") == 1, path
        assert "<main" in page
        assert 'aria-label="Main"' in page
        assert re.search(r"<title>[^<]+ · Holdfast</title>", page)
        assert 'lang="en"' in page
        labelled = set(re.findall(r'<label[^>]* for="([^"]+)"', page))
        fields = re.findall(r"<(?:input|select|textarea)\b[^>]*>", page)
        for one in fields:
            if 'type="hidden"' in one or "hidden-text" in one:
                continue
            assert re.search(r'\bid="([^"]+)"', one)[1] in labelled, (path, one)
        ids = re.findall(r'\bid="([^"]+)"', page)
        assert len(ids) == len(set(ids)), path
