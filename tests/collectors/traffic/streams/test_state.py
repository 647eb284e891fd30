"""The states of a session."""

from collectors.traffic.streams.state import State


def test_all_from_established_on_count_as_established() -> None:
    before = {state for state in State if state < State.ESTABLISHED}
    assert before == {State.NONE, State.SYN_SENT, State.SYN_RECV}
