"""The page of tokens for programs."""

import html
import re

from console.store.records import Role


def make(site, admin, **fields):
    admin.get("/api-tokens")
    answer = admin.post("/api-tokens", {"name": "tickets", "role": "viewer", "days": "30", **fields})
    found = re.search(r"hfa1\.[\w-]+", answer.text)
    return answer, found[0] if found else ""


def test_a_token_is_shown_once_and_then_only_by_name(site, admin):
    answer, text = make(site, admin)
    assert answer.status_code == 200
    assert text
    page = admin.get("/api-tokens").text
    assert text not in page
    assert "tickets" in page
    assert "valid" in page


def test_a_revoked_token_is_shown_so_and_lets_nobody_in(site, admin):
    _, text = make(site, admin)
    program = site.browser()
    bearer = {"authorization": f"Bearer {text}"}
    assert program.get("/api/v1/agents", headers=bearer).status_code == 200
    token = site.run(site.store.api_tokens())[0]
    admin.get("/api-tokens")
    assert admin.post(f"/api-tokens/{token.id}/revoke").status_code == 303
    assert program.get("/api/v1/agents", headers=bearer).status_code == 401
    assert "revoked" in admin.text("/api-tokens")


def test_wrong_choices_are_one_sentence(site, admin):
    for fields in ({"role": "root"}, {"days": "9999"}, {"days": "-1"}, {"name": ""}):
        answer, text = make(site, admin, **fields)
        assert answer.status_code == 400
        assert not text
        assert 'role="alert"' in answer.text


def test_a_hostile_name_is_text(site, admin):
    answer, _ = make(site, admin, name="<script>alert(1)</script>")
    assert "<script>alert" not in answer.text
    assert "<script>alert" in html.unescape(answer.text)


def test_nobody_below_admin_sees_them(site):
    assert site.someone(Role.OPERATOR).get("/api-tokens").status_code == 403
