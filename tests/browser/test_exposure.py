"""The exposure section in a real Chromium: live, readable, on a phone too."""

import contextlib
import time

import pytest
from playwright.sync_api import expect

from contracts.subjects import exposure
from contracts.subjects.exposure import Exposure

pytestmark = pytest.mark.browser


def rows(*ports: int) -> dict[str, Exposure]:
    made = {}
    for port in ports:
        made[f"internet tcp 198.51.100.5 {port}"] = Exposure(
            vantage="internet", family=4, protocol="tcp", address="198.51.100.5", port=port, verdict="reachable",
            interface="eth0", process="nginx", listener=f"tcp/0.0.0.0:{port}", chain="inet filter " + "x" * 60,
            why="tcp dport { " + ", ".join(map(str, range(1000, 1060))) + " } accept", delivered="[2001:db8::7]:8080",
        )  # fmt: skip
    return made


@pytest.fixture
def agent(served):
    served.site.now_ms = int(time.time() * 1000)
    made = served.site.agent("web-1")
    made.heartbeat()
    made.usual_rows()
    made.rows(exposure.SUBJECT, rows(443))
    return made


def enter(page, served):
    page.goto(served.link())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Fleet")).to_be_visible()


def test_what_becomes_reachable_appears_without_reload_and_is_announced(page, served, agent):
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    enter(page, served)
    page.goto(f"{served.url}/agents/{agent.id}")
    section = page.locator("#exposure")
    expect(section.get_by_role("heading", name="Exposure")).to_be_visible()
    expect(section.get_by_role("columnheader", name="from internet")).to_be_visible()
    expect(page.locator("#live-status")).to_contain_text("Live")
    agent.rows(exposure.SUBJECT, rows(8080))
    expect(section.get_by_role("rowheader", name="8080/tcp")).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("8080/tcp nginx")
    assert complaints == []


@pytest.mark.parametrize("width", [360, 1280])
def test_the_section_never_scrolls_the_page_sideways(chromium, served, agent, width):
    context = chromium.new_context(ignore_https_errors=True, viewport={"width": width, "height": 740})
    with contextlib.closing(context):
        page = context.new_page()
        enter(page, served)
        page.goto(f"{served.url}/agents/{agent.id}")
        expect(page.locator("#exposure table")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
