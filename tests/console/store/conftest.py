"""The implementations of the store that the conformance suite runs against: adding one is one more entry here."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from console.store.records import Certificate, Token
from console.store.sql import SqlStore, open_sqlite

T = TypeVar("T")
GRACE_S = 60.0


def sqlite(folder: Path) -> SqlStore:
    return open_sqlite(folder / "console.db", GRACE_S)


IMPLEMENTATIONS: dict[str, Callable[[Path], Any]] = {"sqlite": sqlite}


class Tried:
    """A store on a loop of its own, asked from the test's thread."""

    def __init__(self, make: Callable[[Path], Any], folder: Path) -> None:
        self._make, self._folder = make, folder
        self._runner = asyncio.Runner()
        self.store = make(folder)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def together(self, works: list[Coroutine[Any, Any, T]]) -> list[T]:
        async def all_of_them() -> list[T]:
            return list(await asyncio.gather(*works))

        return self._runner.run(all_of_them())

    def reopen(self) -> None:
        self.do(self.store.close())
        self.store = self._make(self._folder)

    def admit(self, agent: str, serial: str = "01", key: bytes = b"k" * 32, facts: Any = None) -> bool:
        token = Token(
            id=f"t{serial}",
            digest=serial.encode().ljust(32, b"."),
            note="",
            created_ms=1,
            created_by="test",
            expires_ms=10_000,
        )
        self.do(self.store.add_token(token))
        made = Certificate(serial=serial, agent=agent, key=key, pem=b"pem", issued_ms=100, ends_ms=9_000)
        return self.do(self.store.enrol(token.id, made, facts, "0.1.0", 500))

    def close(self) -> None:
        self.do(self.store.close())
        self._runner.close()


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
def tried(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tried]:
    one = Tried(IMPLEMENTATIONS[request.param], tmp_path)
    yield one
    one.close()
