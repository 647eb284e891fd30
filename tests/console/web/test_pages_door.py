"""Getting in and out."""

import html
import re

import pytest

from console.store.records import Role
from console.web.login_session import COOKIE
from console.web.pages_door import local_path

PASSWORD = "correct horse battery"


def log_in(browser, name="ada", password=PASSWORD, **more):
    browser.get("/login")
    return browser.post("/login", {"name": name, "password": password, **more})


def test_the_right_password_opens_the_fleet(site):
    browser = site.browser()
    answer = log_in(browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browser.get("/").status_code == 200


def test_the_cookie_of_a_login_cannot_leave_this_host_or_be_read_by_script(site):
    answer = log_in(site.browser())
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith(f"{COOKIE}="))
    assert COOKIE.startswith("__Host-")
    for part in ("HttpOnly", "Secure", "Path=/", "SameSite=lax"):
        assert part in cookie
    assert "Domain" not in cookie


def test_a_wrong_password_and_a_wrong_name_say_the_same(site):
    answers = [log_in(site.browser(f"192.0.2.{n}"), name, "wrong") for n, name in enumerate(("ada", "nobody"))]
    said = {re.search(r'role="alert">([^<]*)', answer.text)[1] for answer in answers}
    assert said == {"The name or the password is wrong."}
    assert {answer.status_code for answer in answers} == {401}


def test_guessing_is_slowed_down_and_written_to_the_audit_log(site, admin):
    stranger = site.browser("203.0.113.9")
    for _ in range(5):
        assert log_in(stranger, password="wrong").status_code == 401
    assert log_in(stranger, password=PASSWORD).status_code == 429
    assert "login.failed" in admin.text("/audit")
    assert log_in(site.browser("203.0.113.10")).status_code == 303


def test_a_login_makes_a_new_session_and_ends_the_one_before(site):
    browser = site.browser()
    log_in(browser)
    before = browser.client.cookies[COOKIE]
    log_in_again = site.browser()
    log_in_again.client.cookies.set(COOKIE, before, domain="console.test")
    log_in_again.get("/account")
    answer = log_in_again.post("/login", {"name": "ada", "password": PASSWORD})
    assert answer.status_code == 303
    assert log_in_again.client.cookies[COOKIE] != before
    assert browser.get("/").status_code == 303


def test_opening_a_login_link_uses_nothing_up(site):
    secret = site.run(site.accounts.make_link("ada", "cli:test"))
    preview, person = site.browser(), site.browser()
    for _ in range(3):
        assert preview.get(f"/login/link?token={secret}").status_code == 200
    person.get(f"/login/link?token={secret}")
    assert person.post("/login/link", {"token": secret}).status_code == 303
    assert person.get("/").status_code == 200


def test_a_login_link_works_once_and_not_for_ever(site):
    used = site.run(site.accounts.make_link("ada", "cli:test"))
    old = site.run(site.accounts.make_link("ada", "cli:test"))
    browser = site.browser()
    browser.get(f"/login/link?token={used}")
    assert browser.post("/login/link", {"token": used}).status_code == 303
    again = site.browser()
    again.get(f"/login/link?token={used}")
    assert again.post("/login/link", {"token": used}).status_code == 401
    site.now_ms += 16 * 60_000
    late = site.browser()
    late.get(f"/login/link?token={old}")
    assert "too old" in late.post("/login/link", {"token": old}).text


def test_signing_out_ends_the_session_at_the_server(site):
    browser = site.browser()
    log_in(browser)
    secret = browser.client.cookies[COOKIE]
    browser.get("/")
    assert browser.post("/logout").headers["location"] == "/login"
    thief = site.browser()
    thief.client.cookies.set(COOKIE, secret, domain="console.test")
    assert thief.get("/").status_code == 303


def test_signing_out_everywhere_ends_all_of_ones_logins_and_nobody_elses(site):
    one, two, other = site.browser(), site.browser(), site.someone(Role.VIEWER)
    log_in(one)
    log_in(two)
    one.get("/account")
    one.post("/logout/everywhere")
    assert [browser.get("/").status_code for browser in (one, two, other)] == [303, 303, 200]
    assert log_in(site.browser()).status_code == 303


def test_a_login_ends_when_unused_and_at_last_in_any_case(site):
    browser = site.browser()
    log_in(browser)
    for _ in range(3):
        site.now_ms += 11 * 3_600_000
        assert browser.get("/").status_code == 200
    site.now_ms += 13 * 3_600_000
    assert browser.get("/").status_code == 303
    log_in(browser)
    for _ in range(15):
        site.now_ms += 11 * 3_600_000
        browser.get("/")
    site.now_ms += 11 * 3_600_000
    assert browser.get("/").status_code == 303


def test_a_page_that_refreshes_by_itself_does_not_prolong_the_login(site):
    browser = site.browser()
    log_in(browser)
    for _ in range(7):
        site.now_ms += 2 * 3_600_000
        answer = browser.get("/", headers={"X-Holdfast-Live": "1"})
    assert answer.status_code == 303


def test_a_locked_out_user_is_out_at_once(site):
    browser = site.someone(Role.VIEWER, "vic")
    site.run(site.accounts.set_disabled("vic", True, "cli:test"))
    assert browser.get("/").status_code == 303


def test_after_login_one_lands_where_one_wanted_to_go(site):
    browser = site.browser()
    answer = browser.get("/events?kind=ports.&severity=3")
    page = browser.get(answer.headers["location"])
    wanted = html.unescape(re.search(r'name="next" value="([^"]*)"', page.text)[1])
    assert wanted == "/events?kind=ports.&severity=3"
    assert browser.post("/login", {"name": "ada", "password": PASSWORD, "next": wanted}).headers["location"] == wanted


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "/login",
        "/a\r\nb",
        "/\x00",
        "/a\\b",
    ],
)
def test_no_link_leads_from_the_login_to_another_site(path):
    assert local_path(path) == "/"
