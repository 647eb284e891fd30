"""Logins: passwords, sessions, one-time links, and what stops guessing."""

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from console.accounts import AccountPolicy, Accounts, TooManyFailures, at_least
from console.store.records import Role
from console.store.sql import open_sqlite
from contracts.errors import UsageError

PASSWORD = "correct horse battery"


class Desk:
    """Accounts over a real store and a clock that a test sets."""

    def __init__(self, folder: Path) -> None:
        self.now_ms = 1_700_000_000_000
        self.store = open_sqlite(folder / "console.db", 60.0)
        self._runner = asyncio.Runner()
        self.accounts = Accounts(self.store, lambda: self.now_ms, AccountPolicy(failures_allowed=3))

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def log_in(self, password: str = PASSWORD, name: str = "eve", address: str = "192.0.2.1") -> Any:
        return self.do(self.accounts.log_in(name, password, address))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    one = Desk(tmp_path)
    one.do(one.accounts.add("eve", Role.OPERATOR, PASSWORD, "cli:root"))
    yield one
    one.do(one.store.close())
    one._runner.close()


def test_a_right_password_opens_a_session_that_ends_when_unused(desk: Desk) -> None:
    grant = desk.log_in()
    session = desk.do(desk.accounts.session(grant.secret))
    assert (session.user, session.role) == ("eve", Role.OPERATOR)
    assert desk.accounts.csrf_matches(session, session.csrf)
    assert not desk.accounts.csrf_matches(session, "\ud800")
    desk.now_ms += 11 * 3_600_000
    assert desk.do(desk.accounts.session(grant.secret)) is not None
    desk.now_ms += 11 * 3_600_000
    assert desk.do(desk.accounts.session(grant.secret)) is not None
    desk.now_ms += 13 * 3_600_000
    assert desk.do(desk.accounts.session(grant.secret)) is None


def test_wrong_names_and_passwords_open_nothing(desk: Desk) -> None:
    assert desk.log_in("wrong") is None
    assert desk.log_in(name="nobody", address="192.0.2.2") is None
    assert desk.log_in(name="' OR 1", address="192.0.2.3") is None
    assert desk.do(desk.accounts.session("guess")) is None
    entries = desk.do(desk.store.audit_log(what="login."))
    assert {entry.what for entry in entries} == {"login.failed"}


def test_guessing_is_stopped_for_the_guesser_only(desk: Desk) -> None:
    for _ in range(3):
        assert desk.log_in("wrong") is None
    with pytest.raises(TooManyFailures):
        desk.log_in()
    assert desk.log_in(address="198.51.100.7") is not None
    desk.now_ms += 301_000
    assert desk.log_in() is not None


def test_a_link_works_once_and_not_for_long(desk: Desk) -> None:
    secret = desk.do(desk.accounts.make_link("eve", "cli:root"))
    assert desk.do(desk.accounts.redeem_link(secret, "192.0.2.1")).session.user == "eve"
    assert desk.do(desk.accounts.redeem_link(secret, "192.0.2.1")) is None
    late = desk.do(desk.accounts.make_link("eve", "cli:root"))
    desk.now_ms += 16 * 60_000
    assert desk.do(desk.accounts.redeem_link(late, "192.0.2.1")) is None
    with pytest.raises(UsageError):
        desk.do(desk.accounts.make_link("nobody", "cli:root"))


def test_a_changed_password_or_a_lock_ends_every_session(desk: Desk) -> None:
    grant = desk.log_in()
    desk.do(desk.accounts.set_password("eve", "another good password", "user:eve"))
    assert desk.do(desk.accounts.session(grant.secret)) is None
    grant = desk.log_in("another good password")
    desk.do(desk.accounts.set_disabled("eve", True, "user:admin"))
    assert desk.do(desk.accounts.session(grant.secret)) is None
    assert desk.log_in("another good password") is None


def test_the_last_admin_stays_one(desk: Desk) -> None:
    desk.do(desk.accounts.add("root", Role.ADMIN, "", "console"))
    for work in (desk.accounts.set_role("root", Role.VIEWER, "x"), desk.accounts.set_disabled("root", True, "x")):
        with pytest.raises(UsageError, match="last admin"):
            desk.do(work)
    desk.do(desk.accounts.set_role("eve", Role.ADMIN, "x"))
    desk.do(desk.accounts.set_role("root", Role.VIEWER, "x"))


@pytest.mark.parametrize("name", ["", "Eve", "../x", "a" * 65, "-x"])
def test_odd_names_are_refused(desk: Desk, name: str) -> None:
    with pytest.raises(UsageError):
        desk.do(desk.accounts.add(name, Role.VIEWER, "", "x"))


def test_roles_include_the_ones_before() -> None:
    assert at_least(Role.ADMIN, Role.OPERATOR)
    assert not at_least(Role.VIEWER, Role.OPERATOR)


def test_many_guesses_at_once_are_no_more_than_one_after_another(desk: Desk) -> None:
    async def guess(number: int) -> str:
        try:
            await desk.accounts.log_in("eve", f"wrong {number}", "192.0.2.1")
        except TooManyFailures:
            return "refused"
        return "looked at"

    async def all_at_once() -> list[str]:
        return list(await asyncio.gather(*(guess(number) for number in range(30))))

    assert desk.do(all_at_once()).count("looked at") == 3


def test_a_right_password_forgives_the_wrong_ones_before_it(desk: Desk) -> None:
    for _ in range(3):
        assert desk.log_in("wrong", address="192.0.2.1") is None
        assert desk.log_in(address="192.0.2.9") is not None  # somewhere else: forgives nothing there
        desk.now_ms += 1
        desk.accounts._failures.pop("from 192.0.2.1")  # the address alone is not what this is about
    with pytest.raises(TooManyFailures):
        desk.log_in(address="192.0.2.1")
    desk.now_ms += 400_000
    for _ in range(2):
        assert desk.log_in("wrong", address="192.0.2.1") is None
        desk.accounts._failures.pop("from 192.0.2.1")
    assert desk.log_in(address="192.0.2.1") is not None
    for _ in range(2):
        assert desk.log_in("wrong", address="192.0.2.1") is None
        desk.accounts._failures.pop("from 192.0.2.1")
    assert desk.log_in(address="192.0.2.1") is not None


def test_right_passwords_never_add_up(desk: Desk) -> None:
    assert all(desk.log_in() is not None for _ in range(10))


def test_one_network_of_ipv6_is_one_guesser(desk: Desk) -> None:
    for number in range(3):
        assert desk.log_in("wrong", name=f"user{number}", address=f"2001:db8::{number + 1}") is None
    with pytest.raises(TooManyFailures):
        desk.log_in(address="2001:db8::ffff")
    assert desk.log_in(address="2001:db8:0:1::1") is not None


def test_signing_out_everywhere_ends_every_session_and_link(desk: Desk) -> None:
    first, second = desk.log_in(), desk.log_in()
    link = desk.do(desk.accounts.make_link("eve", "cli:root"))
    desk.do(desk.accounts.log_out_everywhere(first.session))
    assert desk.do(desk.accounts.session(first.secret)) is None
    assert desk.do(desk.accounts.session(second.secret)) is None
    assert desk.do(desk.accounts.redeem_link(link, "192.0.2.8")) is None
    assert desk.log_in(address="192.0.2.7") is not None
