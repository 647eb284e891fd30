"""Who may call what: every route is in the table, and the table is kept."""

import re

import pytest

from console.accounts import at_least
from console.store.records import Role
from console.web.access import ACCESS, CHANGING, Public


def routes(site):
    for route in site.app.routes:
        for method in sorted(route.methods - {"OPTIONS", "HEAD"}):
            yield f"{method} {route.path_format}"


def concrete(path):
    return re.sub(r"\{number\}", "1", re.sub(r"\{(?!number)\w+\}", "nothing", path))


def test_every_route_has_a_declared_role_and_every_declared_role_a_route(site):
    assert set(routes(site)) == set(ACCESS)


def test_routes_without_a_login_are_few_and_known():
    public = {route for route, rule in ACCESS.items() if isinstance(rule, Public)}
    assert public == {
        "GET /healthz",
        "GET /metrics",
        "GET /favicon.ico",
        "GET /static/{name}",
        "GET /login",
        "POST /login",
        "GET /login/link",
        "POST /login/link",
    }


def test_every_change_of_the_fleet_or_of_people_needs_more_than_a_viewer():
    own = {"POST /logout", "POST /logout/everywhere", "POST /account/password"}
    for route, rule in ACCESS.items():
        if route.split()[0] in CHANGING and isinstance(rule, Role) and route not in own:
            assert at_least(rule, Role.OPERATOR), route


def test_strangers_get_a_login_page_or_a_problem_on_every_route(site):
    stranger = site.browser()
    for route, rule in ACCESS.items():
        if not isinstance(rule, Role):
            continue
        method, path = route.split()
        answer = stranger.send(method, concrete(path))
        if path.startswith("/api/"):
            assert answer.status_code == 401, route
            assert answer.headers["content-type"] == "application/problem+json"
        else:
            assert answer.status_code == 303, route
            assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize("role", list(Role))
def test_each_role_reaches_its_routes_and_no_others(site, role):
    person = site.someone(role)
    person.get("/account")
    token = person.csrf()
    for route, rule in ACCESS.items():
        method, path = route.split()
        if not isinstance(rule, Role) or path.startswith(("/logout", "/live")):
            continue
        more = {"headers": {"x-csrf-token": token}} if method in CHANGING else {}
        answer = person.send(method, concrete(path), **more)
        assert (answer.status_code == 403) == (not at_least(role, rule)), (
            route,
            answer.status_code,
            answer.text[-300:],
        )
        assert answer.status_code != 500, route


def test_a_route_that_nobody_declared_lets_nobody_in(site, admin, monkeypatch):
    monkeypatch.setattr("console.web.access.ACCESS", {})
    assert admin.get("/").status_code == 403
