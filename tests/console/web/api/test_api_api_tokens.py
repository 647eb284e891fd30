"""Programs in the API: their tokens let them in by role, and nowhere else."""

import pytest

from console.store.records import Role


def program(site, role=Role.VIEWER):
    made = site.run(site.console.api_tokens.create("tickets", role, 3600.0, "cli:test"))
    browser = site.browser()
    browser.client.headers["authorization"] = f"Bearer {made.text}"
    return browser, made


def test_a_program_reads_by_its_role(site, full):
    reader, _ = program(site)
    assert reader.get("/api/v1/agents").status_code == 200
    assert reader.get("/api/v1/users").status_code == 403
    assert reader.get("/metrics").status_code == 200


def test_a_program_changes_without_a_forms_token_and_is_named_in_the_audit_log(site, full):
    doer, made = program(site, Role.ADMIN)
    answer = doer.send("POST", "/api/v1/tokens", json={"note": "by a program"})
    assert answer.status_code == 201
    assert site.run(site.store.audit_log(limit=1))[0].who == f"api-token:{made.id}"
    assert program(site)[0].send("POST", "/api/v1/tokens", json={"note": "x"}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/users", "/account", "/live", "/events"])
def test_a_program_reaches_no_pages(site, path):
    answer = program(site, Role.ADMIN)[0].get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login")


def test_a_wrong_token_is_not_mended_by_a_persons_cookie(site, admin):
    assert admin.get("/api/v1/users").status_code == 200
    assert admin.get("/api/v1/users", headers={"authorization": "Bearer hfa1.wrong"}).status_code == 401


def test_a_program_makes_no_programs_but_a_person_does(site, admin):
    doer, _ = program(site, Role.ADMIN)
    assert doer.send("POST", "/api/v1/api-tokens", json={"name": "heir"}).status_code == 403
    admin.get("/account")
    headers = {"x-csrf-token": admin.csrf()}
    answer = admin.send("POST", "/api/v1/api-tokens", json={"name": "heir", "role": "operator"}, headers=headers)
    assert answer.status_code == 201
    assert answer.json()["token"].startswith("hfa1.")
    listed = admin.get("/api/v1/api-tokens").json()["items"]
    assert {(row["name"], row["role"], row["state"]) for row in listed} == {
        ("tickets", "admin", "valid"),
        ("heir", "operator", "valid"),
    }
    assert answer.json()["token"] not in admin.get("/api/v1/api-tokens").text
    revoked = admin.send("POST", f"/api/v1/api-tokens/{answer.json()['id']}/revoke", headers=headers)
    assert revoked.json() == {"changed": True}


def test_the_document_says_how_programs_prove_themselves(site, admin):
    document = admin.get("/api/openapi.json").json()
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
