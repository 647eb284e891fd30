"""What is answered when something is refused or breaks."""

import pytest

from contracts.errors import Unreachable


def test_people_get_a_page_and_programs_a_problem(admin):
    page = admin.get("/nothing/here")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    problem = admin.get("/api/v1/agents/nothing")
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json() == {"title": "Not Found", "status": 404, "detail": "there is no agent with this id"}


def test_a_store_that_does_not_answer_is_said_with_advice(site, admin, monkeypatch):
    async def broken(*_):
        raise Unreachable("the store cannot be read: disk I/O error", advice="check the database and its disk")

    monkeypatch.setattr(site.store, "agents", broken)
    page = admin.get("/")
    assert page.status_code == 503
    assert "The store cannot be read: disk I/O error. Check the database and its disk." in page.text
    assert admin.get("/api/v1/agents").json()["advice"] == "check the database and its disk"


def test_a_defect_shows_no_trace(site, admin, monkeypatch, caplog):
    async def defect(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(site.store, "agents", defect)
    page = admin.get("/")
    assert page.status_code == 500
    assert "secret detail" not in page.text
    assert "secret detail" in caplog.text


def test_wrong_parameters_name_themselves(admin):
    problem = admin.get("/api/v1/agents?limit=0").json()
    assert problem["status"] == 400
    assert any("limit" in str(error) for error in problem["errors"])
    assert admin.get("/?page=x").status_code == 400


def test_a_wrong_method_and_a_large_body_are_refused(admin):
    assert admin.send("DELETE", "/users").status_code == 405
    admin.get("/users")
    assert admin.post("/users", {"name": "x" * 100_000}).status_code == 413


HUGE = "9" * 40


@pytest.mark.parametrize(
    "path",
    [
        f"/audit?before={HUGE}",
        f"/?page={HUGE}",
        f"/events/{'9' * 16}-{'9' * 16}",
        f"/events?cursor={HUGE[:19]}-{HUGE[:19]}",
        f"/events?severity={HUGE}",
        "/events?agent=%00",
        f"/api/v1/audit?cursor={HUGE[:18]}",
        f"/api/v1/events?cursor={HUGE[:19]}-{HUGE[:19]}",
        "/api/v1/events?since=0001-01-01T00:00:00",
        "/api/v1/events?since=9999-12-31T23:59:59",
        "/api/v1/events?until=0001-01-01T00:00:00%2B14:00",
        f"/api/v1/agents?limit={HUGE}",
    ],
)
def test_no_question_is_a_mistake_of_the_console(site, admin, path):
    assert admin.get(path).status_code < 500


def test_no_number_of_a_finding_is_a_mistake_of_the_console(site, admin):
    admin.get("/account")
    for number in (HUGE, "0", "9223372036854775808"):
        assert admin.post(f"/findings/{number}/acknowledge").status_code == 303


def test_a_body_nested_without_end_is_one_sentence(site, admin):
    admin.get("/account")
    headers = {"content-type": "application/json", "x-csrf-token": admin.csrf()}
    answer = admin.send("POST", "/api/v1/tokens", content=b"[" * 30_000, headers=headers)
    assert answer.status_code == 400
    assert "nested" in answer.json()["detail"]


def test_metrics_name_their_character_set_once(site, admin):
    assert admin.get("/metrics").headers["content-type"].count("charset") == 1


def test_an_address_without_anything_is_a_sentence(site, admin):
    assert "There is nothing at this address." in admin.get("/nope").text
    assert admin.get("/api/v1/nope").json()["detail"] == "there is nothing at this address"
