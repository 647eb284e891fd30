"""The health of a store says what it holds and how it writes."""

from typing import Any


def test_health_counts_and_measures(tried: Any, facts: Any) -> None:
    tried.admit("a" * 32, facts=facts())
    health = tried.do(tried.store.health())
    assert (health.agents, health.events, health.waiting) == (1, 0, 0)
    assert health.bytes > 0
    assert health.commit_ms > 0
    assert health.group >= 1
