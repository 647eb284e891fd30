"""The session cookie."""

import pytest

from console.web.login_session import COOKIE, digest


@pytest.mark.parametrize("value", ["x", "x" * 5000, "%00", "é", "' OR 1=1 --"])
def test_a_cookie_that_is_none_of_ours_is_a_stranger(site, value):
    browser = site.browser()
    answer = browser.get("/", headers={"cookie": f"{COOKIE}={value}".encode()})
    assert answer.status_code == 303


def test_the_store_knows_only_the_digest_of_the_secret(site, admin):
    secret = admin.client.cookies[COOKIE]
    assert site.run(site.store.session(digest(secret), site.now_ms)).user == "ada"
