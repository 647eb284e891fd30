"""A link is taken once, however many take it."""

from typing import Any

from console.store.records import LoginLink, Role, User


def test_one_link_lets_one_of_many_in(tried: Any) -> None:
    tried.do(tried.store.add_user(User(name="eve", role=Role.VIEWER)))
    tried.do(tried.store.add_link(LoginLink(digest=b"l", user="eve", created_ms=1, expires_ms=10)))
    taken = tried.together([tried.store.take_link(b"l", 5) for _ in range(8)])
    assert sum(one is not None for one in taken) == 1
