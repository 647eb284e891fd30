"""Every finding and every state has a sentence."""

from console.store.records import Agent, FindingKind, Sights, State
from console.web.finding_words import FINDINGS, advice


def test_every_kind_of_finding_is_explained():
    assert set(FINDINGS) == set(FindingKind)


def test_every_state_but_up_says_what_to_know():
    for state in State:
        agent = Agent(id="a", name="a", state=state, sights=Sights(blind=1, workers_down=1))
        assert bool(advice(agent)) == (state is not State.UP)


def test_degraded_says_why():
    agent = Agent(id="a", name="a", state=State.DEGRADED, sights=Sights(workers_down=2))
    assert advice(agent) == "Degraded, because a worker does not work (see Workers)."
