"""Redis datasets against a real server with writers, over its socket, and servers that break off or lie."""

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actions.backup.databases.crc64 import Crc64
from actions.backup.databases.options import ProveOptions, ProveQuery, RedisOptions
from actions.backup.databases.prove import prove_source
from actions.backup.databases.redis import Redis, acl_statement
from actions.backup.databases.saving import Report
from actions.backup.repository import Repository
from host.linux import LinuxHost
from tests.actions.backup.conftest import Restic
from tests.actions.backup.databases.conftest import redis
from tests.free_port import free_port

Save = Callable[..., Report]
ACCOUNTS = 100


@pytest.fixture
def filled(redis_folder: Path) -> Iterator[Path]:
    redis(redis_folder, "FLUSHALL")
    for account in range(ACCOUNTS):
        redis(redis_folder, "SET", f"account:{account}", "100")
    redis(redis_folder, "EVAL", "for n = 1, 20000 do redis.call('HSET', 'bulk', n, redis.sha1hex(n)) end", "0")
    redis(redis_folder, "-n", "3", "SET", "other", "x")
    yield redis_folder
    redis(redis_folder, "FLUSHALL")


def source(folder: Path, **more: object) -> Redis:
    return Redis(RedisOptions(socket=str(folder / "socket"), **more))  # type: ignore[arg-type]


MOVE = """
local a, b = math.random(0, 99), math.random(0, 99)
redis.call('DECRBY', 'account:' .. a, 7)
redis.call('INCRBY', 'account:' .. b, 7)
return redis.call('INCR', 'moves')
"""
SUM = "local n = 0 for i = 0, 99 do n = n + redis.call('GET', 'account:' .. i) end return tostring(n)"


@contextmanager
def transfers(folder: Path) -> Iterator[None]:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            redis(folder, "-r", "200", "EVAL", MOVE, "0")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_beside_writers_a_dump_holds_one_moment_and_loads_to_the_same_answers(
    filled: Path, save: Save, host: LinuxHost, repository: Repository, restic: Restic, diskless: str, tmp_path: Path
) -> None:
    assert redis(filled, "CONFIG", "SET", "repl-diskless-sync", diskless) == "OK"
    with transfers(filled):
        before = int(redis(filled, "GET", "moves") or 0)
        report = save(source(filled))
    report.raise_for_failure()
    assert report.blind == []
    queries = (
        ProveQuery(source="redis", database="", sql="HGET bulk 777", expect=redis(filled, "HGET", "bulk", "777")),
    )
    options = ProveOptions(scratch="/tmp", run_as="nobody", queries=queries)
    proof = prove_source(host, repository, repository.load_snapshot(report.snapshot), options)
    proof.raise_for_failure()
    assert proof.proved[0].counts["db3"] == 1
    assert proof.proved[0].counts["db0"] >= ACCOUNTS + 1
    content = restic("dump", report.snapshot, "/databases/redis/dump.rdb").stdout
    (tmp_path / "dump.rdb").write_bytes(content)
    checked = subprocess.run(["redis-check-rdb", tmp_path / "dump.rdb"], capture_output=True, text=True, check=True)
    assert "RDB looks OK" in checked.stdout
    with loaded(content) as folder:
        assert redis(folder, "EVAL", SUM, "0") == str(ACCOUNTS * 100)
        assert int(redis(folder, "GET", "moves") or 0) >= before


@contextmanager
def loaded(content: bytes) -> Iterator[Path]:
    """The stock server with this file."""
    import tempfile

    from tests.actions.backup.databases.conftest import end, until

    with tempfile.TemporaryDirectory(prefix="hfrd", dir="/tmp") as name:
        folder = Path(name)
        (folder / "dump.rdb").write_bytes(content)
        words = ["redis-server", "--port", "0", "--unixsocket", folder / "socket", "--dir", folder, "--save", ""]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            until(lambda: redis(folder, "PING") == "PONG")
            yield folder
        finally:
            end(process)


def test_the_user_that_is_printed_may_take_the_dataset_and_nothing_else(
    filled: Path, save: Save, tmp_path: Path
) -> None:
    words = acl_statement("backup").replace("PASSWORD", "s3cret").split()
    assert redis(filled, *words) == "OK"
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    try:
        save(source(filled, user="backup", password=f"file:{secret}")).raise_for_failure()
        assert "NOPERM" in redis(filled, "--user", "backup", "--pass", "s3cret", "GET", "account:1")
        secret.write_text("wrong")
        report = save(source(filled, user="backup", password=f"file:{secret}"))
        assert "the server refuses the password: -WRONGPASS" in report.failed[0].message
        assert redis(filled, "ACL", "SETUSER", "backup", "-sync") == "OK"
        secret.write_text("s3cret")
        report = save(source(filled, user="backup", password=f"file:{secret}"))
        assert not report.snapshot
        assert "NOPERM" in report.failed[0].message
    finally:
        redis(filled, "ACL", "DELUSER", "backup")


def test_a_dataset_without_a_checksum_is_said_to_have_none(save: Save, tmp_path: Path) -> None:
    rdb = _rdb(b"\xfe\x00", checksum=False)
    with fake(tmp_path, b"$%d\r\n%s" % (len(rdb), rdb)):
        report = save(source(tmp_path))
    report.raise_for_failure()
    assert "it has no checksum" in report.blind[0].detail


def _rdb(body: bytes, *, checksum: bool = True, magic: bytes = b"REDIS0011") -> bytes:
    text = magic + body + b"\xff"
    crc = Crc64()
    crc.feed(text)
    return text + (crc.value() if checksum else 0).to_bytes(8, "little")


GOOD = _rdb(b"\xfe\x00" + bytes(range(200)) * 30)
MARK = b"0123456789abcdef0123456789abcdef01234567"


@contextmanager
def fake(folder: Path, answer: bytes, *, pause: bool = False) -> Iterator[None]:
    """A server that answers every command with OK and SYNC with `answer`, and hangs up."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / "socket"))
    listening.listen()

    def serve() -> None:
        link, _ = listening.accept()
        with link:
            seen = b""
            while b"SYNC" not in seen:
                part = link.recv(4096)
                if not part:
                    return
                seen += part
                for _ in range(part.count(b"REPLCONF")):
                    link.sendall(b"-ERR unknown\r\n")
            try:
                link.sendall(b"\n\n")
                for at in range(0, len(answer), 700):
                    link.sendall(answer[at : at + 700])
                if pause:
                    link.recv(1)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listening.close()
        thread.join()
        os.unlink(folder / "socket")


@pytest.mark.parametrize(
    "answer",
    [b"$%d\r\n%s" % (len(GOOD), GOOD), b"$%d\r\n%s*1\r\n$4\r\nPING\r\n" % (len(GOOD), GOOD), b"$EOF:%s\r\n%s%s" % (MARK, GOOD, MARK),
     b"$EOF:%s\r\n%s%s*1\r\n$4\r\nPING\r\n" % (MARK, GOOD, MARK)],
    ids=["length", "length and more", "mark", "mark and more"],
)  # fmt: skip
def test_the_dataset_ends_where_the_server_says(save: Save, tmp_path: Path, restic: Restic, answer: bytes) -> None:
    with fake(tmp_path, answer):
        report = save(source(tmp_path))
    report.raise_for_failure()
    assert restic("dump", report.snapshot, "/databases/redis/dump.rdb").stdout == GOOD


def test_one_that_breaks_off_or_is_not_whole_is_not_kept(save: Save, tmp_path: Path) -> None:
    broken = bytearray(GOOD)
    broken[3000] ^= 1
    for answer, words in [
        (b"$%d\r\n%s" % (len(GOOD), GOOD[:-100]), "closed 100 bytes before the end"),
        (b"$EOF:%s\r\n%s" % (MARK, GOOD), "before the mark"),
        (b"$EOF:%s\r\n%s%s" % (MARK, GOOD, MARK[:-1]), "before the mark"),
        (b"$%d\r\n%s" % (len(GOOD), broken), "its CRC is"),
        (b"$%d\r\n%s" % (len(GOOD) - 9, GOOD), "the opcode that ends an RDB file is missing"),
        (b"$0\r\n", "only 0 bytes"),
        (b"$5\r\nhello", "only 5 bytes"),
        (b"$30\r\n" + b"hello, this is no rdb file at all", "it is no RDB file"),
        (b"-NOMASTERLINK Can't SYNC while not connected with my master\r\n", "NOMASTERLINK"),
        (b"-LOADING\r\n", "LOADING"),
        (b"", "closed the connection"),
    ]:
        with fake(tmp_path, answer):
            report = save(source(tmp_path))
        assert not report.snapshot
        assert words in report.failed[0].message, words


def test_one_that_does_not_go_on_is_given_up(save: Save, tmp_path: Path) -> None:
    with fake(tmp_path, b"$%d\r\n%s" % (len(GOOD), GOOD[:-100]), pause=True):
        report = save(source(tmp_path, timeout=0.5))
    assert not report.snapshot
    assert "did not answer in time" in report.failed[0].message


def test_one_that_is_not_there_is_named(save: Save, tmp_path: Path) -> None:
    report = save(source(tmp_path))
    assert "socket does not answer (No such file or directory)" in report.failed[0].message
    report = save(Redis(RedisOptions(port=free_port())))
    assert "Connection refused" in report.failed[0].message
