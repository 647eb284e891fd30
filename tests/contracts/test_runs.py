"""How collectors' runs ended: one that never ran is not one that went well."""

from contracts.runs import SUBJECT, RunState


def test_a_collector_that_never_ran_says_so() -> None:
    state = RunState(collector="ports", every_s=60)
    assert (state.outcome, state.last_ok_ms) == ("never", 0)
    assert SUBJECT == "agent.runs"
