"""Waiting before the next attempt."""

from agent.backoff import Backoff


def test_waits_double_up_to_the_cap_with_jitter_and_start_over_after_a_stable_time():
    backoff = Backoff(first_s=1.0, cap_s=8.0, stable_s=10.0)
    waits = [backoff.after(0.0) for _ in range(60)]
    for wait, full in zip(waits, [1, 2, 4, 8] + [8] * 56, strict=True):
        assert full / 2 <= wait <= full
    assert len(set(waits)) > 50
    assert backoff.after(10.0) <= 1.0
