"""What the machine answers: unknown is never the same as none."""

import msgspec

from contracts.coverage import Blind
from contracts.errors import Why
from contracts.host import Completed, Facts, FileStat, Process, Processes, Socket, Sockets


def test_an_empty_answer_and_a_partial_one_differ() -> None:
    blind = Blind(what="the owners of other users' sockets", why=Why.PERMISSION)
    assert Sockets(sockets=()) != Sockets(sockets=(), blind=(blind,))
    assert Processes(by_pid={}) != Processes(by_pid={}, blind=(blind,))


def test_a_socket_whose_v6only_is_unknown_says_so() -> None:
    assert Socket(protocol="tcp", family=6, address="::", port=22).v6only is None


def test_an_owner_that_is_unknown_is_not_root() -> None:
    assert Process(pid=1, name="x").uid == -1


def test_answers_travel() -> None:
    for value in (
        Facts(hostname="h", machine_id="", boot_id="", kernel="", os_name="", architecture="", cpus=1, memory_bytes=1),
        Completed(argv=("nft",), code=1, stdout=b"\xff", stderr=b""),
        FileStat(mode=1, uid=0, gid=0, size=1, mtime_ns=1, ctime_ns=1, inode=1, device=1),
    ):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=type(value)) == value
