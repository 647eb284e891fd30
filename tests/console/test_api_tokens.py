"""Tokens of programs: shown once, stored as a digest, with a role and an end."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.api_tokens import LONGEST_S, ApiTokens
from console.store.records import Role
from console.store.sql import open_sqlite
from contracts.errors import UsageError


class Desk:
    """Tokens over a real store and a clock that a test sets."""

    def __init__(self, folder: Path) -> None:
        self.now_ms = 1_700_000_000_000
        self.file = folder / "console.db"
        self.store = open_sqlite(self.file, 60.0)
        self.tokens = ApiTokens(self.store, lambda: self.now_ms)
        self._runner = asyncio.Runner()

    def do(self, work: Any) -> Any:
        return self._runner.run(work)

    def close(self) -> None:
        self.do(self.store.close())
        self._runner.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    one = Desk(tmp_path)
    yield one
    one.close()


def test_its_bearer_has_its_role_until_it_ends(desk: Desk) -> None:
    made = desk.do(desk.tokens.create("ticket system", Role.OPERATOR, 60.0, "cli:root"))
    session = desk.do(desk.tokens.session(made.text))
    assert (session.role, session.program, session.who) == (Role.OPERATOR, True, f"api-token:{made.id}")
    assert desk.do(desk.store.api_tokens())[0].used_ms == desk.now_ms
    desk.now_ms += 60_000
    assert desk.do(desk.tokens.session(made.text)) is None


def test_its_text_is_stored_nowhere(desk: Desk) -> None:
    made = desk.do(desk.tokens.create("p", Role.VIEWER, 60.0, "cli:root"))
    desk.do(desk.store.close())
    kept = b"".join(path.read_bytes() for path in desk.file.parent.iterdir())
    assert made.id.encode() in kept
    assert made.text.removeprefix("hfa1.").encode() not in kept


def test_a_revoked_one_lets_nobody_in_and_the_audit_log_knows(desk: Desk) -> None:
    made = desk.do(desk.tokens.create("p", Role.ADMIN, 60.0, "user:ada", "192.0.2.1"))
    desk.do(desk.tokens.revoke(made.id, "user:eve"))
    assert desk.do(desk.tokens.session(made.text)) is None
    with pytest.raises(UsageError, match="no token"):
        desk.do(desk.tokens.revoke(made.id, "user:eve"))
    entries = desk.do(desk.store.audit_log())
    assert [(entry.who, entry.what, entry.about) for entry in entries] == [
        ("user:eve", "api_token.revoked", f"api-token:{made.id}"),
        ("user:ada", "api_token.created", f"api-token:{made.id}"),
    ]


@pytest.mark.parametrize("text", ["", "hfa1.", "hfa1." + "A" * 43, "hf1.x.y", "hfa1." + "A" * 10_000, "\ud800"])
def test_other_text_opens_nothing(desk: Desk, text: str) -> None:
    assert desk.do(desk.tokens.session(text)) is None


@pytest.mark.parametrize(
    ("name", "lifetime_s"), [("", 60.0), ("a\nb", 60.0), ("p", 0.0), ("p", LONGEST_S + 1), ("x" * 101, 60.0)]
)
def test_what_makes_no_sense_is_refused(desk: Desk, name: str, lifetime_s: float) -> None:
    with pytest.raises(UsageError):
        desk.do(desk.tokens.create(name, Role.VIEWER, lifetime_s, "cli:root"))
