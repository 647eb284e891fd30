"""The pages in a real Chromium: logging in, live updates, hostile content, keyboard, phone."""

import contextlib
import time

import pytest
from playwright.sync_api import expect

from console.store.records import Role
from contracts.event import Severity
from contracts.subjects import ports

pytestmark = pytest.mark.browser


def enter(page, served, user="ada"):
    page.goto(served.link(user))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Fleet")).to_be_visible()


@pytest.fixture
def agent(served, support):
    served.site.now_ms = int(time.time() * 1000)
    made = served.site.agent("web-1")
    made.heartbeat()
    made.usual_rows()
    return made


@pytest.fixture
def clean(page):
    """Fails when the browser complains: a policy violated, a script that broke."""
    said = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield said
    assert said == []


def test_a_person_logs_in_by_password_and_sees_the_fleet(page, served, agent, support, clean):
    page.goto(served.url)
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill(support.PASSWORD)
    page.keyboard.press("Enter")
    row = page.get_by_role("row", name="web-1")
    expect(row).to_contain_text("Up")
    expect(row).to_contain_text("nftables, 4 rules")
    row.get_by_role("link", name="web-1").click()
    expect(page.get_by_role("heading", name="Listening ports")).to_be_visible()
    expect(page.get_by_text("sshd (801)")).to_be_visible()


def test_a_new_listener_appears_without_reload_and_is_announced(page, served, agent, clean):
    enter(page, served)
    page.goto(f"{served.url}/agents/{agent.id}")
    expect(page.locator("#live-status")).to_contain_text("Live")
    page.evaluate("window.untouched = true")
    # The mark of a fresh row goes with the next refresh, so it is noted the moment it appears.
    page.evaluate(
        """() => { window.fresh = ''; new MutationObserver(() => {
            const row = document.querySelector('#ports tr.fresh'); if (row) window.fresh = row.textContent;
        }).observe(document.body, {subtree: true, childList: true, attributes: true}); }"""
    )
    listener = ports.Listener(
        protocol="tcp", family=4, address="0.0.0.0", port=8080, scope="any", process="python3", pids=(1,)
    )
    agent.rows(ports.SUBJECT, {"tcp 0.0.0.0:8080": listener})
    expect(page.locator("#ports").get_by_role("rowheader", name="8080/tcp")).to_be_visible()
    assert "python3" in page.evaluate("window.fresh")
    expect(page.locator("#announcer")).to_have_text("New listening port: tcp 8080 python3")
    assert page.evaluate("window.untouched")


def test_a_server_turns_late_and_down_without_reload(page, served, agent, clean):
    from console.hub import Change, Topic

    enter(page, served)
    page.goto(f"{served.url}/agents/{agent.id}")
    expect(page.locator("#state .tag")).to_have_text("Up")
    expect(page.locator("#live-status")).to_contain_text("Live")
    for later_ms, word in ((50_000, "Late"), (120_000, "Down")):
        served.site.now_ms += later_ms
        served.site.publish(Change(topic=Topic.AGENT, agent=agent.id, state=word.lower()))
        expect(page.locator("#state .tag")).to_have_text(word)
    expect(page.locator("#announcer")).to_have_text("web-1 is Down")


def test_an_opened_chain_stays_open_and_focus_stays_while_the_page_follows(page, served, agent, clean):
    enter(page, served)
    page.goto(f"{served.url}/agents/{agent.id}/firewall")
    expect(page.locator("#live-status")).to_contain_text("Live")
    page.wait_for_timeout(1500)
    page.locator("summary", has_text="banned").click()
    expect(page.get_by_text("ip saddr @bans drop")).to_be_visible()
    from contracts.subjects import firewall

    row = firewall.Row(what="rule", family="inet", table="filter", name="input", text="udp dport 53 accept", rank=9)
    agent.rows(firewall.SUBJECT, {"rule inet filter input new": row})
    expect(page.get_by_text("udp dport 53 accept")).to_be_visible()
    expect(page.get_by_text("ip saddr @bans drop")).to_be_visible()


def test_the_page_says_when_it_is_not_live_and_recovers(page, served, agent):
    enter(page, served)
    expect(page.locator("#live-status")).to_contain_text("Live")
    page.context.set_offline(True)
    served.site.run(_close_streams(served.site))
    expect(page.locator("#live-status")).to_contain_text("trying again")
    served.site.agent("came-meanwhile")
    page.context.set_offline(False)
    expect(page.get_by_role("row", name="came-meanwhile")).to_be_visible(timeout=60_000)
    expect(page.locator("#live-status")).to_have_text("Live")


async def _close_streams(site):
    for queue in site.hub._subscribers:
        queue.put_nowait(None)


def test_when_the_login_ends_the_open_page_leads_to_the_login(page, served, agent):
    served.site.run(served.site.accounts.add("vic", Role.VIEWER, "", "cli:test"))
    enter(page, served, "vic")
    expect(page.locator("#live-status")).to_contain_text("Live")
    served.site.run(served.site.accounts.set_disabled("vic", True, "cli:test"))
    page.wait_for_timeout(1200)
    agent.heartbeat()
    expect(page.get_by_label("Password")).to_be_visible()


EVIL = (
    "<script>window.ran=1</script><img src=x onerror=window.ran=2>\"'><svg onload=window.ran=3>{{7*7}}\x1b[31m\u202egpj"
)


def test_no_script_from_an_agent_ever_runs(page, served, agent, support):
    site = served.site
    evil = site.agent(EVIL[:120])
    evil.heartbeat(support.PARTLY, version=EVIL)
    listener = ports.Listener(protocol=EVIL, family=4, address=EVIL, port=1, process=EVIL, executable=EVIL, user=EVIL)
    enter(page, served)
    page.goto(f"{served.url}/agents/{evil.id}")
    expect(page.locator("#live-status")).to_contain_text("Live")
    evil.rows(ports.SUBJECT, {EVIL: listener})
    evil.event(EVIL, EVIL, Severity.HIGH, fields={EVIL: EVIL}, evidence={EVIL: EVIL})
    expect(page.locator("#ports tbody tr")).to_contain_text("<script>window.ran=1</script>")
    expect(page.locator("#announcer")).not_to_be_empty()
    for path in ("/", "/events", f"/agents/{evil.id}", f"/agents/{evil.id}/firewall"):
        page.goto(served.url + path)
        page.wait_for_timeout(300)
        assert page.evaluate("window.ran") is None
    page.goto(f"{served.url}/events")
    page.locator(".timeline a").first.click()
    assert page.evaluate("window.ran") is None
    assert "⟨U+202E⟩" in page.inner_text("h1")


INLINE = """() => {
  const script = document.createElement("script");
  try { script.textContent = "window.ran = 1"; } catch (error) { return "refused"; }
  document.body.append(script);
  return window.ran ? "ran" : "refused";
}"""
ASSIGNED = "() => { try { document.body.innerHTML = '<b>'; return 'taken'; } catch (error) { return 'refused'; } }"


def test_the_policy_stops_what_would_get_through_all_else(page, served):
    """Even markup that the templates had let through would not run: inline code and string assignment are off."""
    enter(page, served)
    assert page.evaluate(INLINE) == "refused"
    assert page.evaluate(ASSIGNED) == "refused"


def test_everything_is_reached_by_keyboard(page, served, agent):
    enter(page, served)
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent.trim()"))
    assert "web-1" in seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(chromium, served, agent, scheme):
    context = chromium.new_context(ignore_https_errors=True, color_scheme=scheme)
    with contextlib.closing(context):
        page = context.new_page()
        enter(page, served)
        for path in ("/", f"/agents/{agent.id}", "/tokens"):
            page.goto(served.url + path)
            assert page.evaluate(LOW_CONTRAST) == []


LOW_CONTRAST = """() => {
  const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1]; };
  const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; }
    return [255, 255, 255, 1]; };
  const low = [];
  for (const e of document.querySelectorAll("main *, header *")) {
    const own = Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.getClientRects().length || e.closest("svg, option")) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) low.push(`${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return low; }"""


def test_a_phone_needs_no_sideways_scrolling(chromium, served, agent, support):
    agent.heartbeat(support.PARTLY)
    agent.event("ports.listener_opened", "tcp " + "x" * 300)
    context = chromium.new_context(ignore_https_errors=True, viewport={"width": 360, "height": 740})
    with contextlib.closing(context):
        page = context.new_page()
        enter(page, served)
        for path in (
            "/",
            f"/agents/{agent.id}",
            f"/agents/{agent.id}/firewall",
            "/events",
            "/tokens",
            "/users",
            "/audit",
            "/account",
            "/about",
        ):
            page.goto(served.url + path)
            assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, (
                path
            )


def test_a_token_made_on_the_page_comes_with_its_command(page, served, agent, clean):
    enter(page, served)
    page.goto(f"{served.url}/tokens")
    page.get_by_label("What for").fill("test server")
    page.get_by_role("button", name="Make token").click()
    expect(page.locator("#command")).to_contain_text("sudo holdfast enroll https://console.example:8444 --token hf1.")


def test_a_changed_file_appears_without_reload_and_its_difference_can_be_opened(page, served, agent, clean):
    from contracts.subjects import integrity

    row = integrity.Row
    book = row(kind="book", name="b", state="watching", root="ab" * 32, position=812, open=2, watches=310, limit=8192)
    root = row(
        kind="root", name="/etc", profile="configuration", state="watched", folders=300, files=1900, scanned_ms=1
    )
    agent.rows(integrity.SUBJECT, {"book": book, "root /etc": root})
    enter(page, served)
    page.goto(f"{served.url}/agents/{agent.id}")
    section = page.locator("#integrity")
    expect(section).to_contain_text("No change of a watched file has arrived")
    expect(page.locator("#live-status")).to_contain_text("Live")
    fields = {
        "before": ["size 3254", "sha256 9f0c"],
        "after": ["size 3257", "sha256 <img src=x>"],
        "meaning": ["PermitRootLogin no -> yes"],
        "accounted": "nothing accounts for it",
        "author_unknown": "there is no audit log",
    }
    diff = {"diff": "-PermitRootLogin no\n+PermitRootLogin yes"}
    agent.event("integrity.modified", "/etc/ssh/sshd_config", Severity.HIGH, fields=fields, evidence=diff)
    what = {"what": "openssh-server 1:9.2p1-2 -> -3", "files": 31, "proved": 31}
    agent.event("integrity.transaction", "run", Severity.INFORMATIONAL, fields=what)
    expect(section.get_by_role("row", name="/etc/ssh/sshd_config")).to_contain_text("PermitRootLogin no -> yes")
    expect(section.get_by_role("row", name="openssh-server")).to_contain_text("31 shipped by signed packages")
    section.locator("summary", has_text="Lines that differ").click()
    expect(section.get_by_text("+PermitRootLogin yes")).to_be_visible()
    assert page.evaluate(LOW_CONTRAST) == []
