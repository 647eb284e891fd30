"""Values of many packets at once are what they are one by one."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.firewall.cohort import Spread, constant, grouped, numbers, product

ROWS = st.dictionaries(st.integers(0, 40), st.integers(0, 30), max_size=30)


@given(ROWS, st.integers(0, 30), st.integers(0, 30))
def test_a_range_is_the_packets_whose_number_lies_in_it(rows: dict[int, int], one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert set(numbers(grouped(rows).between(low, high))) == {
        bit for bit, value in rows.items() if low <= value <= high
    }


@given(ROWS, ROWS)
def test_a_concatenation_is_the_pair_of_values_of_packets_that_have_both(
    first: dict[int, int], second: dict[int, int]
) -> None:
    made = product([grouped(first), grouped(second)])
    seen = {bit: value for value, bits in made.values.items() for bit in numbers(bits)}
    assert seen == {bit: (first[bit], second[bit]) for bit in first.keys() & second.keys()}


def test_an_assignment_that_is_not_sure_leaves_the_former_value_possible() -> None:
    after = Spread({1: 0b11}).merged(constant(7, 0b11), sure=0b01, may=0b11)
    assert after.at(0b01) == [7]
    assert sorted(after.at(0b10)) == [1, 7]
    assert after.multi == 0b10


def test_a_packet_with_an_unknown_value_counts_as_having_several() -> None:
    spread = Spread({5: 0b01}, unknown=0b10)
    assert spread.present == 0b11
    assert spread.multi == 0b10
    assert spread.within(0b01).present == 0b01


def test_absent_fields_stay_absent() -> None:
    assert grouped({0: None, 1: 3}).present == 0b10
    assert product([constant(1, 0b11), constant(2, 0b10)]).present == 0b10
    assert list(numbers(0)) == []
