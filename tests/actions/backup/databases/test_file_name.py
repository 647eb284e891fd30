"""Any name of a database is a file name, and no two become one."""

from hypothesis import example, given
from hypothesis import strategies as st

from actions.backup.databases.file_name import file_name


@given(st.text(min_size=1))
@example("..")
@example(".")
@example("a/b")
@example("x" * 300)
@example("ä" * 64)
def test_it_is_the_name_of_a_file(name: str) -> None:
    found = file_name(name, ".dump")
    assert b"/" not in found
    assert b"\0" not in found
    assert not found.startswith(b".")
    assert len(found) <= 210


@given(st.sets(st.text(min_size=1), min_size=2))
@example({"a%2Fb", "a/b"})
@example({"x" * 300, "x" * 301})
def test_no_two_are_the_same(names: set[str]) -> None:
    assert len({file_name(name, ".dump") for name in names}) == len(names)


def test_plain_names_stay_as_they_are() -> None:
    assert file_name("shop_2-a b.c", ".dump") == b"shop_2-a b.c.dump"
    assert file_name("ärger", ".sql") == "ärger.sql".encode()
