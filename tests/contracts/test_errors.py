"""Errors say what to do, and whether trying again can help."""

import inspect

from contracts import errors
from contracts.errors import (
    HoldfastError,
    Malformed,
    NewerData,
    Refused,
    TooLarge,
    Unavailable,
    Unreachable,
    UsageError,
    Why,
)


def test_an_error_reads_as_one_sentence_with_its_advice() -> None:
    assert str(HoldfastError("it broke")) == "it broke"
    assert str(HoldfastError("it broke", advice="mend it")) == "it broke; mend it"


def test_whether_trying_again_helps_is_known_and_can_be_said_otherwise() -> None:
    assert HoldfastError("x").permanent
    assert not Unreachable("x").permanent
    assert not Unavailable(Why.TIMEOUT, "x").permanent
    assert not Refused("x", permanent=False).permanent
    assert Refused("x").permanent


def test_exit_codes_tell_the_conditions_apart() -> None:
    kinds = [HoldfastError, UsageError, Unreachable, Refused, NewerData]
    assert len({kind.exit_code for kind in kinds}) == len(kinds)


def test_every_error_here_is_one_that_people_are_shown() -> None:
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    assert all(issubclass(kind, HoldfastError) for kind in found)
    assert issubclass(TooLarge, Malformed)
