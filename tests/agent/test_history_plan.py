"""Versions of configuration are kept once a day, at a time of each host's own."""

from actions.history.options import HistoryOptions
from agent.history_plan import history_plan


def test_versions_are_kept_once_a_day_at_a_time_of_each_hosts_own() -> None:
    plans = [history_plan(HistoryOptions(enabled=True), machine * 32) for machine in "ab"]
    assert [plan["history"].action for plan in plans] == ["history_keep"] * 2
    assert plans[0]["history"].at != plans[1]["history"].at
    exact = HistoryOptions(enabled=True, at="01:00", splay=0.0)
    assert history_plan(exact, "a")["history"].at == "01:00"


def test_a_history_that_is_off_has_no_time() -> None:
    assert history_plan(HistoryOptions(), "a") == {} == history_plan(None, "a")
