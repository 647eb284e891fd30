"""The headers of every answer."""

import pytest


@pytest.mark.parametrize(
    "path", ["/", "/login", "/healthz", "/static/console.js", "/nothing", "/api/v1/agents", "/api/nothing"]
)
def test_every_answer_carries_the_security_headers(site, admin, path):
    for browser in (admin, site.browser()):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["strict-transport-security"].startswith("max-age=")
        assert headers["cross-origin-opener-policy"] == "same-origin"


def test_pages_are_never_stored_and_files_are(admin):
    assert admin.get("/").headers["cache-control"] == "no-store"
    assert admin.get("/api/v1/agents").headers["cache-control"] == "no-store"
    assert "immutable" in admin.get("/static/console.css?v=1").headers["cache-control"]
