"""The states of a session."""

from collectors.traffic.streams import state


def test_all_from_established_on_count_as_established() -> None:
    numbers = {name: number for name, number in vars(state).items() if isinstance(number, int)}
    before = {name for name, number in numbers.items() if number < state.ESTABLISHED}
    assert before == {"NONE", "SYN_SENT", "SYN_RECV"}
    assert sorted(numbers.values()) == list(range(11))
