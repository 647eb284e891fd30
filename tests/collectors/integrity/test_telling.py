"""Few changes are told one by one, many as lists that leave nothing out, and what stands out is never hidden in a list."""

import stat

from collectors.integrity.telling import KEY_CHARS, event, events, key, statement
from contracts.file_change import CREATED, MODIFIED, SETUID, TIMESTOMPED, Author, Change
from contracts.maintenance import Window
from contracts.open_change import Statement
from contracts.trees import Node


def node(mode: int = 0o644) -> Node:
    return Node(b"x", stat.S_IFREG | mode, 0, 0, 1, 1, 1, 1, 1, 1, content=b"a" * 32)


def change(number: int, *kinds: str) -> Change:
    return Change(path=b"/etc/%d" % number, kinds=kinds or (CREATED,), after=node(), profile="configuration", at_ms=5)


def test_few_changes_are_events_of_their_own() -> None:
    assert [e.kind for e in events([change(1), change(2, MODIFIED)], 2)] == ["integrity.created", "integrity.modified"]


def test_many_are_lists_that_name_each_one() -> None:
    made = list(events([change(n) for n in range(1234)], 20))
    assert {e.kind for e in made} == {"integrity.many_changed"} and len(made) == 3
    lines = [line for e in made for line in e.fields["changes"]]  # type: ignore[union-attr]
    assert [str(line).split()[1] for line in lines] == [f"/etc/{n}" for n in range(1234)]
    assert sum(int(str(e.fields["count"])) for e in made) == 1234
    assert [e.fields["part"] for e in made] == [1, 2, 3]


def test_what_stands_out_stays_alone() -> None:
    made = list(events([*(change(n) for n in range(50)), change(99, CREATED, SETUID)], 20))
    assert [e.kind for e in made] == ["integrity.setuid_changed", "integrity.many_changed"]


def test_the_most_telling_word_names_the_event() -> None:
    assert event(change(1, MODIFIED, TIMESTOMPED)).kind == "integrity.timestomped"
    assert event(change(1, MODIFIED, TIMESTOMPED)).fields["words"] == [MODIFIED, TIMESTOMPED]


def test_who_and_which_lines_are_told_where_they_are_known() -> None:
    known = Change(
        path=b"/etc/x",
        kinds=(MODIFIED,),
        before=node(),
        after=node(),
        author=Author(process="vim", login="anna"),
        old=b"a\n",
        new=b"b\n",
    )
    made = event(known)
    assert (made.fields["process"], made.fields["login"]) == ("vim", "anna") and "author_unknown" not in made.fields
    assert "+b" in made.evidence["diff"]
    assert (
        event(Change(path=b"/x", kinds=(CREATED,), author=Author(unknown="no log"))).fields["author_unknown"]
        == "no log"
    )


def test_a_key_is_never_too_long_and_never_the_same_for_two() -> None:
    one, two = key(b"/" + b"x" * 4000 + b"1"), key(b"/" + b"x" * 4000 + b"2")
    assert one != two and max(len(one), len(two)) <= KEY_CHARS
    assert key(b"/etc/\xff") == "/etc/\\xff"


def test_a_statement_becomes_its_event() -> None:
    made = statement(
        Statement(kind="integrity.sealed", key="book", fields={"root": "ab", "position": 1, "folders": 2}, at_ms=9)
    )
    assert (made.kind, made.key, made.observed_ms, made.fields["root"]) == ("integrity.sealed", "book", 9, "ab")


def test_what_changes_in_a_declared_window_is_told_with_its_name() -> None:
    always, never = Window(begin="00:00", end="00:00", why="patches"), Window(begin="00:00", end="00:00")
    assert event(change(1), windows=(always,)).fields["maintenance"] == "patches"
    assert next(events([change(1)], 20, windows=(never,))).fields["maintenance"] == "00:00 to 00:00"
    assert "maintenance" not in event(change(1)).fields
