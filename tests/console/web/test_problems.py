"""What is answered when something is refused or breaks."""

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
