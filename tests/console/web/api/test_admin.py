"""Tokens, users and the audit log by API."""

T = "/api/v1/tokens"


def test_a_token_is_made_shown_once_listed_and_revoked(site, admin, document, ask):
    admin.get("/account")
    headers = {"x-csrf-token": admin.csrf()}
    made = admin.send("POST", T, json={"note": "ci", "valid_s": 600, "hostname": "ci-1"}, headers=headers)
    body = document.check(made, "post", T)
    assert body["token"].startswith("hf1.")
    assert body["command"] == f"sudo holdfast enroll https://console.example:8444 --token {body['token']}"
    listed = ask(admin, T)["items"][0]
    assert (listed["note"], listed["state"], listed["hostname"]) == ("ci", "waiting", "ci-1")
    assert body["token"] not in admin.get(T).text
    for changed in (True, False):
        answer = admin.send("POST", f"{T}/{body['id']}/revoke", headers=headers)
        assert document.check(answer, "post", T + "/{token}/revoke") == {"changed": changed}
    assert ask(admin, T)["items"][0]["state"] == "revoked"
    assert admin.send("POST", f"{T}/nothing/revoke", headers=headers).status_code == 404


def test_a_wrong_token_request_is_a_problem_that_names_the_field(site, admin):
    admin.get("/account")
    headers = {"x-csrf-token": admin.csrf()}
    for body in (
        {},
        {"note": ""},
        {"note": "x", "valid_s": 1},
        {"note": "x", "surprise": 1},
        {"note": "x", "hostname": "a b"},
        [],
    ):
        answer = admin.send("POST", T, json=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), body
    assert site.run(site.store.tokens()) == ()


def test_users_come_without_their_passwords(admin, ask):
    users = ask(admin, "/api/v1/users")["items"]
    assert users[0] == {**users[0], "name": "ada", "role": "admin", "has_password": True}
    assert "argon2" not in admin.get("/api/v1/users").text


def test_the_audit_log_is_paged_by_cursor(site, admin, ask):
    for number in range(9):
        site.run(site.store.audit(site.now_ms, "cli:test", "test.done", str(number), "", ""))
    seen, cursor = [], ""
    while True:
        page = ask(admin, "/api/v1/audit", what="test.", limit=4, cursor=cursor)
        seen += [entry["about"] for entry in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert seen == [str(number) for number in reversed(range(9))]
    assert admin.get("/api/v1/audit?cursor=x").status_code == 400
