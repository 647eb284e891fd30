"""People on the command line."""

import json
from typing import Any


def test_people_are_added_changed_and_locked_out(holdfast: Any) -> None:
    link = json.loads(holdfast("user", "link", "--json"))
    assert link["link"].startswith("https://127.0.0.1:18443/login/link?token=")
    holdfast("user", "add", "eve", "--role", "operator", "--password-stdin", stdin="correct horse battery\n")
    assert "already a user" in holdfast("user", "add", "eve", "--no-password", code=2)
    assert "has 5 characters" in holdfast("user", "passwd", "eve", "--password-stdin", stdin="short\n", code=2)
    holdfast("user", "passwd", "eve", "--password-stdin", stdin="another good password\n")
    holdfast("user", "disable", "eve")
    people = json.loads(holdfast("user", "list", "--json"))
    assert [(one["name"], one["role"], one["disabled"]) for one in people] == [
        ("admin", "admin", False),
        ("eve", "operator", True),
    ]
    assert "password" not in people[0]
    assert "last admin" in holdfast("user", "disable", "admin", code=2)
