"""Tokens of programs on the command line."""

import json
from typing import Any


def test_tokens_are_made_listed_and_revoked(holdfast: Any) -> None:
    made = json.loads(holdfast("api-token", "create", "--json", "--role", "operator", "--for", "2d", "tickets"))
    assert made["token"].startswith("hfa1.")
    listed = holdfast("api-token", "list", "--json")
    assert made["token"] not in listed
    assert [(row["name"], row["role"]) for row in json.loads(listed)] == [("tickets", "operator")]
    holdfast("api-token", "revoke", made["id"])
    assert "revoked" in holdfast("api-token", "list")
    assert "no token" in holdfast("api-token", "revoke", made["id"], code=2)
    assert "at most 366 days" in holdfast("api-token", "create", "--for", "2000d", "p", code=2)
