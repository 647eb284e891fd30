"""The walk over pg_dump's custom archives: real ones of a real server pass, and no cut or added byte does."""

import random
import struct
import subprocess
from collections.abc import Iterator
from itertools import pairwise

import pytest

from actions.backup.databases.pg_archive import PgArchive
from actions.backup.databases.pipe import NotWhole
from tests.actions.backup.databases.conftest import Cluster


def judge(content: bytes, cuts: list[int] | None = None) -> PgArchive:
    archive = PgArchive()
    for one, other in pairwise(sorted({0, *(cuts or []), len(content)})):
        archive.feed(memoryview(content)[one:other])
    return archive


@pytest.fixture(scope="module")
def odd(cluster: Cluster) -> Iterator[Cluster]:
    cluster.sql("CREATE DATABASE odd")
    cluster.sql(
        """
        CREATE TABLE a AS SELECT n, repeat('x', n % 3000) AS t FROM generate_series(1, 3000) n;
        CREATE TABLE empty(i int); CREATE TABLE "we.ird name"(i int); INSERT INTO "we.ird name" VALUES (1);
        CREATE TABLE part(i int) PARTITION BY RANGE (i); CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (9);
        CREATE SEQUENCE s; CREATE VIEW v AS SELECT * FROM a; CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM a;
        SELECT lo_from_bytea(0, decode(repeat('ab', 100000), 'hex')), lo_from_bytea(0, '');
        """,
        "odd",
    )
    yield cluster
    cluster.drop("odd")


def dump(cluster: Cluster, *words: str, database: str = "odd") -> bytes:
    argv = ["pg_dump", "-h", cluster.folder, "-U", "postgres", "-d", database, "-Fc", *words]
    return subprocess.run(argv, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    "words", [["-Z0"], ["-Z6"], ["-s"], ["-a"], ["-Z0", "--no-blobs"], ["-Z0", "--column-inserts"]]
)
def test_real_archives_are_whole_in_whatever_pieces(odd: Cluster, words: list[str]) -> None:
    content = dump(odd, *words)
    dice = random.Random(3)
    for count in (0, 1, 200):
        archive = judge(content, [dice.randrange(len(content)) for _ in range(count)])
        assert archive.finish() == ()
        assert archive.database == "odd"
    small = content[:3000]
    one_by_one = judge(content, [*range(len(small)), *range(len(content) - 300, len(content))])
    assert one_by_one.finish() == ()


def test_the_table_of_contents_is_what_pg_restore_lists(odd: Cluster) -> None:
    content = dump(odd, "-Z0")
    listed = subprocess.run(["pg_restore", "--list"], input=content, capture_output=True, check=True).stdout.decode()
    with_data = [line for line in listed.splitlines() if " TABLE DATA " in line or " BLOBS " in line]
    assert judge(content).entries_with_data == len(with_data) == 5


def test_an_empty_database_has_a_whole_archive(cluster: Cluster) -> None:
    assert judge(dump(cluster, "-Z0", database="postgres")).finish() == ()


def test_no_cut_passes(odd: Cluster) -> None:
    content = dump(odd, "-Z0")
    dice = random.Random(5)
    places = [
        *range(0, 300),
        *range(len(content) - 300, len(content)),
        *(dice.randrange(len(content)) for _ in range(200)),
    ]
    for place in places:
        with pytest.raises(NotWhole):
            judge(content[:place]).finish()


def test_a_cut_between_two_blocks_is_named(odd: Cluster) -> None:
    content = dump(odd, "-Z0", "--no-blobs")
    archive = PgArchive()
    passed = 0
    for passed in range(len(content)):
        archive.feed(memoryview(content)[passed : passed + 1])
        if archive._between and len(archive._seen) == 2:
            break
    with pytest.raises(NotWhole, match="the data of 2 entries is missing, the first is TABLE DATA"):
        judge(content[: passed + 1]).finish()


def test_what_does_not_belong_there_is_refused(odd: Cluster) -> None:
    content = dump(odd, "-Z0")
    for extra in (b"x", b"\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00", content):
        with pytest.raises(NotWhole):
            judge(content + extra).finish()
    tar = subprocess.run(
        ["pg_dump", "-h", odd.folder, "-U", "postgres", "-d", "odd", "-Ft"], capture_output=True, check=True
    ).stdout
    for other in (
        b"",
        b"PGDM",
        tar,
        b"PGDMP\x01\x0e\x00\x08\x08\x01",
        b"PGDMP\x01\x0e\x00\x04\x08\x03",
        b"PGDMP\x01\x02\x00\x04\x08\x01",
    ):
        with pytest.raises(NotWhole):
            judge(other + bytes(100)).finish()


def number(value: int) -> bytes:
    return struct.pack("<Bi", value < 0, abs(value))


def text(value: bytes | None) -> bytes:
    return number(-1) if value is None else number(len(value)) + value


def made(minor: int, *, data: bytes = b"row\n") -> bytes:
    """An archive as later versions of pg_dump lay it out, with one table."""
    head = b"PGDMP" + bytes([1, minor, 0, 4, 8, 1])
    head += b"\x00" if minor >= 15 else number(0)
    head += b"".join(number(0) for _ in range(7)) + text(b"db") + text(b"17") + text(b"17")
    entry = number(7) + number(1) + text(b"0") + text(b"16385") + text(b"t") + text(b"TABLE DATA") + number(3)
    entry += text(b"") + text(b"") + text(b"COPY") + text(b"public") + text(b"")
    entry += text(b"") if minor >= 14 else b""
    entry += number(ord("r")) if minor >= 16 else b""
    entry += text(b"me") + text(b"false") + text(b"5") + text(None) + b"\x01" + bytes(8)
    return head + number(1) + entry + b"\x01" + number(7) + number(len(data)) + data + number(0)


@pytest.mark.parametrize("minor", [12, 13, 14, 15, 16])
def test_later_and_earlier_layouts_are_known(minor: int) -> None:
    assert judge(made(minor)).finish() == ()
    with pytest.raises(NotWhole):
        judge(made(minor)[:-1]).finish()
    with pytest.raises(NotWhole):
        judge(made(minor)[:-19]).finish()


def test_one_that_is_newer_than_we_know_is_said_not_to_be_checked() -> None:
    archive = judge(made(16).replace(b"PGDMP\x01\x10", b"PGDMP\x01\x11") + b"whatever")
    (blind,) = archive.finish()
    assert "1.17" in blind.detail
