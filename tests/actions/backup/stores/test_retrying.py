"""Trying again: what passes is waited for, what does not is told at once, and an unanswered call is not taken for a stranger's."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from actions.backup.stores import retrying
from actions.backup.stores.local import LocalStore
from actions.backup.stores.retrying import RetryingStore
from actions.backup.stores.store import AlreadyThere, Buffer, FileType, Handle, NotThere, Store, StoreError
from tests.actions.backup.stores.conformance import Conformance, a_pack


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_S", 0.001)


class Flaky(LocalStore):
    """Fails as many calls as `before` says before doing anything, and as many as `after` says after having done it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.before = self.after = 0
        self.calls = 0
        self.permanent = False

    def _count(self, which: str) -> None:
        self.calls += which == "before"
        if left := getattr(self, which):
            setattr(self, which, left - 1)
            raise StoreError("cut", permanent=self.permanent)

    def save(self, handle: Handle, parts: Sequence[Buffer]) -> None:
        self._count("before")
        super().save(handle, parts)
        self._count("after")

    def load(self, handle: Handle, offset: int = 0, length: int | None = None) -> bytes:
        self._count("before")
        return super().load(handle, offset, length)

    def list(self, type: FileType) -> Iterator[tuple[str, int]]:
        for number, entry in enumerate(super().list(type)):
            yield entry
            if number == 1:
                self._count("before")

    def remove(self, handle: Handle) -> None:
        self._count("before")
        super().remove(handle)
        self._count("after")


class TestRetryingStore(Conformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return RetryingStore(LocalStore(tmp_path / "repository"), patience_s=60)


@pytest.fixture
def flaky(tmp_path: Path) -> Flaky:
    store = Flaky(tmp_path / "repository")
    store.create()
    return store


def test_what_fails_in_passing_is_done_at_last(flaky: Flaky) -> None:
    told: list[StoreError] = []
    store = RetryingStore(flaky, patience_s=60, told=told.append)
    flaky.before = 3
    store.save(a_pack(), [b"content"])
    flaky.before = 2
    assert store.load(a_pack()) == b"content"
    assert len(told) == 5


def test_a_listing_is_whole_and_without_doubles(flaky: Flaky) -> None:
    for number in range(5):
        flaky.save(a_pack(bytes([number])), [bytes([number])])
    flaky.before = 2
    assert len(list(RetryingStore(flaky, patience_s=60).list(FileType.PACK))) == 5


def test_a_permanent_error_is_told_at_once(flaky: Flaky) -> None:
    flaky.before, flaky.permanent = 1, True
    with pytest.raises(StoreError, match="cut"):
        RetryingStore(flaky, patience_s=60).save(a_pack(), [b"x"])
    assert flaky.calls == 1


def test_patience_ends(flaky: Flaky) -> None:
    flaky.before = 1000
    clock = iter(range(1000))  # a second with each look, of which each try takes two
    with pytest.raises(StoreError, match="cut") as caught:
        RetryingStore(flaky, patience_s=10, clock=lambda: float(next(clock))).load(a_pack())
    assert not caught.value.permanent
    assert flaky.calls == 10


def test_a_save_that_was_done_but_not_answered_is_a_success(flaky: Flaky) -> None:
    flaky.after = 1
    RetryingStore(flaky, patience_s=60).save(a_pack(), [b"con", b"tent"])
    assert flaky.load(a_pack()) == b"content"


@pytest.mark.parametrize("theirs", [b"other", b"contenT"])
def test_a_stranger_s_file_under_that_name_is_not(flaky: Flaky, theirs: bytes) -> None:
    flaky.save(a_pack(), [theirs])
    flaky.before = 1
    with pytest.raises(AlreadyThere):
        RetryingStore(flaky, patience_s=60).save(a_pack(), [b"content"])


def test_a_name_that_is_taken_from_the_beginning_is_refused(flaky: Flaky) -> None:
    flaky.save(a_pack(), [b"content"])
    with pytest.raises(AlreadyThere):
        RetryingStore(flaky, patience_s=60).save(a_pack(), [b"content"])


def test_a_removal_that_was_done_but_not_answered_is_a_success(flaky: Flaky) -> None:
    flaky.save(a_pack(), [b"content"])
    flaky.after = 1
    RetryingStore(flaky, patience_s=60).remove(a_pack())
    with pytest.raises(NotThere):
        RetryingStore(flaky, patience_s=60).remove(a_pack())


def test_who_cancels_does_not_wait(flaky: Flaky, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_S", 30)
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    flaky.before = 1000
    began = time.monotonic()
    with pytest.raises(StoreError):
        RetryingStore(flaky, patience_s=600, stop=stop).load(a_pack())
    assert time.monotonic() - began < 20
