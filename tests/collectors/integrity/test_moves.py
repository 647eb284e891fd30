"""Where renamed files are is known however often they were renamed, and however their notices are interleaved."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from collectors.integrity import moves as module
from collectors.integrity.moves import Moves, Name

A, B, C, D = ((b"/d", name) for name in (b"a", b"b", b"c", b"d"))


def renamed(moves: Moves, *names: Name) -> None:
    """One file, from each name to the next."""
    for cookie, (former, name) in enumerate(itertools.pairwise(names)):
        moves.left(former, cookie)
        moves.came(name, cookie)


def test_a_file_that_was_renamed_twice_is_known_by_all_its_names() -> None:
    moves = Moves()
    renamed(moves, A, B, C)
    for name in (A, B, C):
        assert {*moves.other_names(name), name} == {A, B, C}
    assert moves.other_names(D) == []


def test_one_that_came_back_or_went_where_nobody_watches_or_was_deleted_has_no_other_name() -> None:
    for ends in ("back", "outside", "deleted", "replaced"):
        moves = Moves()
        renamed(moves, A, B)
        if ends == "back":
            renamed(moves, B, A)
            assert moves.other_names(A) == [B], "where a look may have seen it"
            continue
        if ends == "outside":
            moves.left(B, 9)
        elif ends == "deleted":
            moves.gone(B)
        else:
            moves.came(B, 10)
        assert moves.other_names(A) == moves.other_names(B) == []


def test_notices_of_two_renames_may_be_interleaved() -> None:
    moves = Moves()
    moves.left(A, 1)
    moves.left(B, 2)
    moves.came(C, 1)
    moves.came(D, 2)
    assert moves.other_names(A) == [C] and moves.other_names(B) == [D]


def test_a_folder_takes_the_names_below_it_along_and_one_that_is_gone_takes_them_away() -> None:
    moves = Moves()
    renamed(moves, A, (b"/d/e", b"x"))
    moves.moved(b"/d", b"/f")
    assert moves.other_names((b"/f", b"a")) == [(b"/f/e", b"x")] and moves.other_names(A) == []
    moves.dropped([b"/f/e"])
    assert moves.other_names((b"/f", b"a")) == []


def test_only_so_many_are_remembered() -> None:
    moves = Moves()
    for number in range(module.MOST + 10):
        renamed(moves, (b"/d", b"%d" % number), (b"/e", b"%d" % number))
    assert moves.other_names((b"/d", b"9")) == [] and moves.other_names((b"/d", b"10")) == [(b"/e", b"10")]
    for number in range(3 * module.MOST):
        moves.left((b"/g", b"%d" % number), 10**6 + number)
    assert len(moves._leaving) <= module.MOST


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), max_size=60))
def test_a_name_leads_to_where_the_file_is_that_was_last_renamed_from_it(steps: list[tuple[int, int]]) -> None:
    """Against a model that holds the files: six names, and a seventh that nobody watches."""
    moves, names = Moves(), [(b"/d", b"%d" % number) for number in range(6)]
    holds: dict[int, object] = {number: object() for number in range(6)}
    left: dict[int, object] = {}
    for cookie, (one, other) in enumerate(steps):
        if one not in holds:
            holds[one] = object()
        elif one == other:
            del holds[one]
            moves.gone(names[one])
        else:
            moves.left(names[one], cookie)
            file = holds.pop(one)
            if other < 6:
                left[one] = holds[other] = file
                moves.came(names[other], cookie)
    for number, file in left.items():
        place = next((at for at, held in holds.items() if held is file), None)
        assert moves._at.get(names[number]) == (names[place] if place not in (None, number) else None)
