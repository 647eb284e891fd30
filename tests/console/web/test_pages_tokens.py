"""Making enrolment tokens."""

import re

from console.web.pages_tokens import enrol_command


def test_a_new_token_is_shown_once_with_the_exact_command(site, admin):
    admin.get("/tokens")
    page = admin.post("/tokens", {"note": "web server", "hostname": "web-9", "valid": "3600"})
    command = re.search(r'id="command">([^<]*)<', page.text)[1]
    assert re.fullmatch(r"sudo holdfast enroll https://console\.example:8444 --token hf1\.[\w-]+\.[\w-]+", command)
    token = command.split()[-1]
    assert token not in admin.get("/tokens").text
    assert "web server" in admin.text("/tokens")
    stored = site.run(site.store.tokens())[0]
    assert (stored.hostname, stored.created_by) == ("web-9", "user:ada")


def test_making_a_token_is_audited(admin):
    admin.get("/tokens")
    admin.post("/tokens", {"note": "web server", "valid": "3600"})
    assert "token.created" in admin.text("/audit")


def test_a_revoked_token_is_shown_as_revoked(site, admin):
    admin.get("/tokens")
    admin.post("/tokens", {"note": "web server", "valid": "3600"})
    number = site.run(site.store.tokens())[0].id
    assert admin.post(f"/tokens/{number}/revoke").status_code == 303
    assert "revoked" in admin.text("/tokens")


def test_used_and_ended_tokens_are_told_apart(site, admin):
    site.agent()
    admin.get("/tokens")
    admin.post("/tokens", {"note": "unused", "valid": "3600"})
    site.now_ms += 3_600_001
    text = admin.text("/tokens")
    assert "used" in text
    assert "ended unused" in text


def test_a_wrong_host_name_and_a_wrong_span_are_explained(site, admin):
    admin.get("/tokens")
    assert "is not a host name" in admin.post("/tokens", {"note": "x", "hostname": "a b", "valid": "3600"}).text
    assert "choose one from the list" in admin.post("/tokens", {"note": "x", "valid": "999999999"}).text
    assert site.run(site.store.tokens()) == ()


def test_the_command_is_quoted_for_the_shell():
    assert enrol_command("https://h:1", "a;reboot") == "sudo holdfast enroll https://h:1 --token 'a;reboot'"
