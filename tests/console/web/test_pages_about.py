"""Health, metrics, files."""

from contracts.errors import Unreachable


def test_the_page_shows_how_the_store_is(full, viewer):
    text = viewer.text("/about")
    assert "sqlite" in text
    assert "Holdfast 0.1.0" in text
    assert "answers" in text


def test_health_is_one_word_and_says_when_the_store_does_not_answer(site, monkeypatch):
    assert site.browser().get("/healthz").text == "ok\n"

    async def broken():
        raise Unreachable("the disk is gone")

    monkeypatch.setattr(site.store, "health", broken)
    assert site.browser().get("/healthz").status_code == 503


def test_metrics_are_for_admins_and_for_this_machine(site, admin, viewer):
    assert b"holdfast" in admin.get("/metrics").content
    assert viewer.get("/metrics").status_code == 403
    assert site.browser().get("/metrics").status_code == 403
    assert site.browser("127.0.0.1").get("/metrics").status_code == 200
    assert site.browser("::1").get("/metrics").status_code == 200
    assert site.browser("127.0.0.1").get("/metrics", headers={"x-forwarded-for": "1.2.3.4"}).status_code == 403


def test_with_a_token_configured_metrics_are_for_its_bearer(guarded):
    def ask(header, address="192.0.2.1"):
        return guarded.browser(address).get("/metrics", headers=header).status_code

    assert ask({"authorization": "Bearer sesame-sesame"}) == 200
    assert ask({"authorization": "Bearer wrong"}) == 403
    assert ask({}, "127.0.0.1") == 403


def test_only_our_own_files_are_served(site):
    browser = site.browser()
    for name in ("console.css", "console.js", "icons.svg"):
        assert browser.get(f"/static/{name}").status_code == 200
    for name in ("..%2fapp.py", "%2e%2e%2fsettings.py", "nothing", "console.css%00.js"):
        assert browser.get(f"/static/{name}").status_code == 404
    assert browser.get("/favicon.ico").headers["content-type"].startswith("image/svg+xml")
