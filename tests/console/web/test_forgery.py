"""A change must come from our own page and carry its token."""

import pytest

CHANGE = "/users"
NEW = {"name": "eve", "role": "admin", "password": ""}


def names(site):
    return [user.name for user in site.run(site.store.users())]


def test_a_form_with_its_token_is_taken(site, admin):
    admin.get("/users")
    assert admin.post(CHANGE, NEW).status_code == 200
    assert "eve" in names(site)


@pytest.mark.parametrize("token", ["", "wrong", "ä" * 20])
def test_a_form_without_the_right_token_changes_nothing(site, admin, token):
    answer = admin.post(CHANGE, {**NEW, "csrf": token})
    assert answer.status_code == 403
    assert "reload the page" in answer.text.lower()
    assert "eve" not in names(site)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://console.test.evil.example"},
    ],
)
def test_a_form_from_another_site_changes_nothing_even_with_the_token(site, admin, headers):
    admin.get("/users")
    assert admin.post(CHANGE, NEW, headers=headers).status_code == 403
    assert "eve" not in names(site)


def test_the_token_of_another_login_does_not_count(site, admin):
    other = site.someone(admin_role())
    other.get("/users")
    admin.get("/users")
    assert admin.post(CHANGE, {**NEW, "csrf": other.csrf()}).status_code == 403


def test_programs_send_the_token_as_a_header(site, admin):
    admin.get("/users")
    made = admin.send("POST", "/api/v1/tokens", json={"note": "x"}, headers={"x-csrf-token": admin.csrf()})
    assert made.status_code == 201
    refused = admin.send("POST", "/api/v1/tokens", json={"note": "x"})
    assert refused.status_code == 403


def test_logging_in_needs_the_cookie_of_the_form_page(site):
    browser = site.browser()
    browser.get("/login")
    token = browser.csrf()
    browser.client.cookies.clear()
    from_elsewhere = browser.send("POST", "/login", data={"csrf": token, "name": "ada", "password": "x"})
    assert from_elsewhere.status_code == 403


def admin_role():
    from console.store.records import Role

    return Role.ADMIN
