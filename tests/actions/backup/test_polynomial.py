"""Irreducible polynomials: the count for small degrees is known from theory, so the test is tested on all of them."""

import pytest

from actions.backup.polynomial import DEGREE, is_irreducible, random_irreducible

NECKLACES = {1: 2, 2: 1, 3: 2, 4: 3, 5: 6, 6: 9, 7: 18, 8: 30, 9: 56, 10: 99, 11: 186, 12: 335}
"""How many irreducible polynomials over GF(2) there are of each degree (OEIS A001037)."""


@pytest.mark.parametrize(("degree", "count"), NECKLACES.items())
def test_as_many_are_irreducible_as_theory_says(degree: int, count: int) -> None:
    assert sum(map(is_irreducible, range(1 << degree, 2 << degree))) == count


@pytest.mark.parametrize("text", ["3DA3358B4DC173", "30a9aefb08ddd1", "25b468838dcb75"])
def test_polynomials_that_restic_chose_are_irreducible(text: str) -> None:
    assert is_irreducible(int(text, 16))


def _times(a: int, b: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = a << 1, b >> 1
    return product


def test_products_are_reducible() -> None:
    for left, right in ((0b10, 0b111), (0b111, 0b1011), (int("3DA3358B4DC173", 16), 0b11), (0b1011, 0b1011)):
        assert not is_irreducible(_times(left, right))


@pytest.mark.parametrize("constant", [0, 1, -1, -0x3DA3358B4DC173])
def test_constants_and_negative_numbers_are_not(constant: int) -> None:
    assert not is_irreducible(constant)


def test_random_ones_are_valid_for_restic_and_differ() -> None:
    found = {random_irreducible() for _ in range(10)}
    assert len(found) == 10
    assert all(p.bit_length() == DEGREE + 1 and p & 1 and is_irreducible(p) for p in found)
