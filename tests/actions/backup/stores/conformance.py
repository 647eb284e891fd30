"""What every store does. A new store joins with a class like this:

class TestMyStore(Conformance):
    @pytest.fixture
    def store(self, tmp_path): return MyStore(...)
"""

import hashlib
import os
import threading

import pytest

from actions.backup.stores.store import (
    CONFIG,
    AlreadyThere,
    FileType,
    Handle,
    NotThere,
    ShortFile,
    Store,
    StoreError,
    draft_for,
)


def a_pack(data: bytes = b"content") -> Handle:
    return Handle(FileType.PACK, hashlib.sha256(data).hexdigest())


NAMED = [type for type in FileType if type is not FileType.CONFIG]


class Conformance:
    """One suite for all; the fixture `store` is a store that was not yet created."""

    @pytest.fixture
    def made(self, store: Store) -> Store:
        store.create()
        return store

    def test_a_new_store_is_empty(self, made: Store) -> None:
        assert {type: list(made.list(type)) for type in FileType} == {type: [] for type in FileType}

    def test_creating_again_is_refused_once_there_is_a_config(self, made: Store) -> None:
        made.create()
        made.save(CONFIG, [b"config"])
        with pytest.raises(AlreadyThere):
            made.create()
        assert made.load(CONFIG) == b"config"

    @pytest.mark.parametrize("type", NAMED)
    def test_what_is_saved_is_listed_and_loaded(self, made: Store, type: FileType) -> None:
        data = os.urandom(3000)
        handle = Handle(type, hashlib.sha256(data).hexdigest())
        made.save(handle, [data[:1000], bytearray(data[1000:1001]), b"", memoryview(data)[1001:]])
        assert list(made.list(type)) == [(handle.name, 3000)]
        assert made.stat(handle) == 3000
        assert made.load(handle) == data

    def test_a_draft_is_saved_as_what_was_added_and_nothing_is_seen_of_it_before(self, made: Store) -> None:
        pieces = [os.urandom(size) for size in (1000, 0, 1, 70_000)]
        whole = b"".join(pieces)
        draft, given_up = draft_for(made), draft_for(made)
        for piece in pieces:
            draft.add(piece)
            given_up.add(piece)
        assert list(made.list(FileType.PACK)) == []
        assert b"".join(draft) == b"".join(draft[:]) == whole
        assert draft[-1] == pieces[-1]
        made.save(a_pack(whole), draft)
        with pytest.raises(AlreadyThere):
            made.save(a_pack(whole), given_up)
        draft.discard()
        given_up.discard()
        assert list(made.list(FileType.PACK)) == [(a_pack(whole).name, len(whole))]
        assert made.load(a_pack(whole)) == whole

    def test_ranges(self, made: Store) -> None:
        made.save(a_pack(), [b"0123456789"])
        assert made.load(a_pack(), 3, 4) == b"3456"
        assert made.load(a_pack(), 3) == b"3456789"
        assert made.load(a_pack(), 0, 0) == b""
        assert made.load(a_pack(), 10) == b""
        assert made.load(a_pack(), 9, 1) == b"9"

    @pytest.mark.parametrize(("offset", "length"), [(0, 11), (9, 2), (10, 1), (200, 1)])
    def test_a_range_beyond_the_end_is_an_error(self, made: Store, offset: int, length: int) -> None:
        made.save(a_pack(), [b"0123456789"])
        with pytest.raises(ShortFile):
            made.load(a_pack(), offset, length)

    def test_an_empty_file_is_a_file(self, made: Store) -> None:
        made.save(a_pack(), [])
        assert made.load(a_pack()) == b""
        assert list(made.list(FileType.PACK)) == [(a_pack().name, 0)]

    def test_a_file_of_many_parts(self, made: Store) -> None:
        parts = [bytes([number % 256]) * (number % 7) for number in range(5000)]
        made.save(a_pack(), parts)
        assert made.load(a_pack()) == b"".join(parts)

    def test_a_file_that_is_there_is_never_replaced(self, made: Store) -> None:
        for handle in (a_pack(), CONFIG):
            made.save(handle, [b"first"])
            with pytest.raises(AlreadyThere):
                made.save(handle, [b"second"])
            assert made.load(handle) == b"first"

    def test_a_file_that_is_not_there(self, made: Store) -> None:
        for call in (made.load, made.stat, made.remove):
            with pytest.raises(NotThere) as caught:
                call(a_pack())
            assert caught.value.permanent
            assert a_pack().name in str(caught.value)

    def test_removing(self, made: Store) -> None:
        made.save(a_pack(), [b"x"])
        made.remove(a_pack())
        assert list(made.list(FileType.PACK)) == []
        made.save(a_pack(), [b"y"])
        assert made.load(a_pack()) == b"y"

    def test_a_store_that_is_not_there_says_so(self, store: Store) -> None:
        with pytest.raises(NotThere):
            list(store.list(FileType.KEY))
        with pytest.raises(NotThere):
            store.load(CONFIG)

    @pytest.mark.parametrize(
        "name", ["", "../config", "a" * 63, "A" * 64, "a" * 64 + "/x", "g" * 64, "a" * 64 + "-tmp-1"]
    )
    def test_no_path_is_made_of_a_strange_name(self, made: Store, name: str) -> None:
        for call in (made.load, made.stat, made.remove, lambda handle: made.save(handle, [b"x"])):
            with pytest.raises(ValueError):
                call(Handle(FileType.PACK, name))

    def test_threads_save_and_load_at_once(self, made: Store) -> None:
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for turn in range(10):
                    data = f"{number} {turn}".encode() * 500
                    made.save(a_pack(data), [data])
                    assert made.load(a_pack(data)) == data
            except BaseException as error:  # noqa: BLE001
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert errors == []
        assert len(list(made.list(FileType.PACK))) == 40

    def test_of_two_that_save_one_name_at_once_one_wins(self, made: Store) -> None:
        won: list[int] = []
        lost: list[StoreError] = []
        start = threading.Barrier(4)

        def work(number: int) -> None:
            start.wait()
            try:
                made.save(a_pack(), [bytes([number]) * 100_000])
                won.append(number)
            except StoreError as error:
                lost.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert len(won) == 1
        assert [type(error) for error in lost] == [AlreadyThere] * 3
        assert made.load(a_pack()) == bytes([won[0]]) * 100_000
