"""The supervisor with real workers: what is asked is answered, what dies or hangs comes back, what is off is refused."""

import os
import signal

from contracts.errors import Why
from contracts.event import dedup_key
from contracts.outcome import Failed, Ok, Unavailable
from contracts.text import escape, unescape


def test_a_look_reports_changes_once_and_only_changes_afterwards(team, spec, script):
    crew = team(spec(script=script(rows={"a": "1", "b": "2"})))
    first = crew.look()
    assert isinstance(first.outcome, Ok)
    assert {event.key for event in first.events} == {"a", "b"}
    assert first.events[0].dedup == dedup_key("probe", 0, "probe.appeared", first.events[0].key)
    assert first.events[0].observed_ms > 1_600_000_000_000
    assert first.cost.wall_s > 0 and first.cost.peak_bytes > 1 << 20
    second = crew.look()
    assert isinstance(second.outcome, Ok) and not second.events and not second.changes.put
    script(rows={"a": "1", "c": "3"})
    third = crew.look()
    assert (set(third.changes.put), third.changes.removed) == ({"c"}, ("b",))


def test_what_was_not_stored_is_reported_again_with_the_same_dedup_key(team, spec, script):
    crew = team(spec(script=script(rows={"a": "1"})))
    crew.look()
    script(rows={"a": "1", "b": "2"})
    lost = crew.look(store=False)
    again = crew.look()
    assert [event.dedup for event in lost.events] == [event.dedup for event in again.events]


def test_a_worker_gets_a_snapshot_of_a_hundred_thousand_rows_in_pages_and_says_what_changed(team, spec, script):
    crew = team(spec(script=script(many=100_000)))
    first = crew.look(deadline_s=120)
    assert len(first.changes.put) == 100_000
    os.kill(crew.state().pid, signal.SIGKILL)
    crew.until(lambda: crew.state().restarts == 1)
    crew.running()
    script(many=100_000, rows={"new": "row"})
    second = crew.look(deadline_s=120)
    assert isinstance(second.outcome, Ok)
    assert (set(second.changes.put), second.changes.removed) == ({"new"}, ())


def test_names_that_are_not_utf8_come_through_faithfully(team, spec, script):
    name = b"/srv/\xff\xfe \\ \n"
    crew = team(spec(script=script(rows={escape(name): "x"})))
    look = crew.look()
    assert [unescape(key) for key in look.changes.put] == [name]
    assert unescape(look.events[0].key) == name


def test_a_worker_killed_fifty_times_comes_back_and_each_end_is_an_event_of_its_own(team, spec, script):
    crew = team(spec(script=script(rows={"a": "1"})))
    for turn in range(50):
        os.kill(crew.running().pid, signal.SIGKILL)
        crew.until(lambda turn=turn: crew.state().restarts > turn)
    crew.running()
    assert isinstance(crew.look().outcome, Ok)
    assert crew.sink.kinds() == ["agent.worker_died"] * 50
    assert len({event.dedup for event in crew.sink.own}) == 50


def test_while_a_worker_is_down_looks_are_answered_as_unavailable(team, spec, script):
    crew = team(spec(script=script(how="leave")))
    crew.running()
    looks = []
    for _ in range(3):
        crew.supervisor.collect("probe", 30, looks.append)
    crew.until(lambda: len(looks) == 3)
    assert all(isinstance(look.outcome, Unavailable) and look.outcome.why == Why.WORKER_DOWN for look in looks)
    assert crew.sink.kinds() == ["agent.worker_died"]


def test_a_worker_that_crashes_at_start_is_tried_again_and_again(team, spec, launch, script):
    def broken(_name):
        raise RuntimeError("broken at start")

    crew = team(spec(script=script()), connector=launch(broken))
    crew.until(lambda: crew.state().restarts >= 4)
    looks = []
    crew.supervisor.collect("probe", 30, looks.append)
    crew.until(lambda: looks)
    assert looks[0].outcome.why == Why.WORKER_DOWN
    assert set(crew.sink.kinds()) == {"agent.worker_died"}


def test_a_stopped_worker_is_noticed_killed_and_replaced(team, spec, script):
    crew = team(spec(script=script(rows={"a": "1"})))
    pid = crew.running().pid
    os.kill(pid, signal.SIGSTOP)
    crew.until(lambda: "agent.worker_hung" in crew.sink.kinds())
    assert crew.running().pid != pid
    crew.until(lambda: not os.path.exists(f"/proc/{pid}"))
    assert isinstance(crew.look().outcome, Ok)


def test_a_look_in_an_endless_loop_times_out_and_the_worker_lives_on(team, spec, script):
    crew = team(spec(script=script(how="loop")))
    pid = crew.running().pid
    look = crew.look(deadline_s=0.5)
    assert isinstance(look.outcome, Failed) and "timeout" in look.outcome.error
    script(rows={"a": "1"})
    assert isinstance(crew.look().outcome, Ok)
    assert crew.state().pid == pid
    assert crew.sink.own == []


def test_pings_are_answered_while_a_look_is_at_work(team, spec, script):
    crew = team(spec(script=script(how="sleep")))
    crew.running()
    look = crew.look(deadline_s=5.0)  # longer than ping and pong together
    assert "timeout" in look.outcome.error
    assert crew.sink.own == []


def test_a_worker_stopped_during_a_look_is_killed_at_the_latest_after_its_deadline(team, spec, script):
    crew = team(spec(script=script(how="stop_self")))
    pid = crew.running().pid
    look = crew.look(deadline_s=1.0)
    assert isinstance(look.outcome, Unavailable | Failed)
    assert "agent.worker_hung" in crew.sink.kinds()
    crew.until(lambda: not os.path.exists(f"/proc/{pid}"))


def test_watchers_state_facts_ask_for_looks_and_say_what_they_do_not_see(team, spec, script):
    crew = team(spec(script=script(ticks=3, changes=20), ticker=script.path, watchers=("ticker",)))
    crew.until(lambda: len(crew.sink.events) == 3 and crew.sink.changes and crew.sink.states)
    assert [event.fields["count"] for event in crew.sink.events] == [0, 1, 2]
    assert len({event.dedup for event in crew.sink.events}) == 3
    assert (
        crew.sink.states == [("ticker", Ok(), crew.sink.states[0][2])]
        and crew.sink.states[0][2][0].what == "the other half"
    )
    assert set(crew.sink.changes) == {("ticker", "probe")} and len(crew.sink.changes) <= 2


def test_a_worker_that_was_down_leaves_a_gap_in_what_its_watchers_saw(team, spec, script):
    crew = team(spec(script=script(), ticker=script.path, watchers=("ticker",)))
    os.kill(crew.running().pid, signal.SIGKILL)
    crew.until(lambda: crew.sink.gaps)
    watcher, reason, seconds = crew.sink.gaps[0]
    assert watcher == "ticker" and "down" in reason and 0 < seconds < 60


def test_a_watcher_that_cannot_watch_says_why(team, spec, script):
    crew = team(spec(script=script(how="unavailable"), ticker=script.path, watchers=("ticker", "nobody")))
    crew.until(lambda: len(crew.sink.states) >= 2)
    said = {watcher: outcome for watcher, outcome, _ in crew.sink.states}
    assert said["ticker"].why == Why.PERMISSION and said["nobody"].why == Why.DISABLED


def test_an_on_demand_worker_starts_on_a_command_and_ends_when_idle(team, spec):
    crew = team(spec("messenger", on_demand=True, idle_s=0.3))
    assert crew.state("messenger").state == "idle"
    steps = []
    result, cost = crew.do(progress=steps.append)
    assert isinstance(result.outcome, Ok) and result.answer["dry"] is False and cost.wall_s >= 0
    assert [event.kind for event in result.events] == ["deed.done"] and result.events[0].dedup
    assert [(step.done, step.total) for step in steps] == [(1, 2)]
    pid = crew.state("messenger").pid
    crew.until(lambda: crew.state("messenger").state == "idle")
    crew.until(lambda: not os.path.exists(f"/proc/{pid}"))
    again, _ = crew.do()
    assert again.answer["pid"] != pid
    assert crew.sink.own == []


def test_commands_that_break_hang_or_take_the_worker_with_them_are_answered(team, spec):
    crew = team(spec("messenger", on_demand=True, idle_s=5))
    assert "RuntimeError: broken" in crew.do(how="crash")[0].outcome.error
    assert "ended before it answered" in crew.do(how="leave")[0].outcome.error
    assert isinstance(crew.do()[0].outcome, Ok)


def test_a_command_past_its_deadline_costs_the_worker_its_life(team, spec, monkeypatch):
    monkeypatch.setattr("agent.errands.GRACE_S", 0.2)
    crew = team(spec("messenger", on_demand=True, idle_s=5))
    # Long enough for the worker to be there on a busy machine: a deadline that passes before is another matter.
    result, _ = crew.do(how="sleep", deadline_s=5)
    assert "timeout" in result.outcome.error
    assert crew.sink.kinds() == ["agent.worker_hung"]
    assert isinstance(crew.do()[0].outcome, Ok)


def test_what_nobody_hosts_is_unavailable_not_lost(team, spec):
    crew = team(spec())
    assert crew.look("weather").outcome.why == Why.DISABLED
    assert crew.do("nobody")[0].outcome.why == Why.DISABLED


def test_new_settings_restart_the_worker_once_it_owes_nothing_and_leave_others_alone(team, spec, script):
    crew = team(spec(script=script(rows={"a": "1"})), spec("netfilter", subjects=("other",)))
    pids = crew.running().pid, crew.running("netfilter").pid
    crew.supervisor.reconfigure(
        [spec(script=script.path, subjects=("probe", "more")), spec("netfilter", subjects=("other",))]
    )
    crew.until(lambda: crew.state().pid not in (0, pids[0]))
    assert crew.state("netfilter").pid == pids[1]
    assert isinstance(crew.look().outcome, Ok)
    crew.supervisor.reconfigure([spec(script=script.path, subjects=("probe", "more"))])
    assert [state.name for state in crew.supervisor.states()] == ["reader"]
    assert crew.sink.own == []


def test_stopping_answers_everything_and_ends_the_workers(team, spec, script):
    crew = team(spec(script=script(how="sleep")))
    pid = crew.running().pid
    looks = []
    crew.supervisor.collect("probe", 30, looks.append)
    crew.supervisor.stop()
    assert looks[0].outcome.why == Why.WORKER_DOWN
    assert crew.state().state == "stopped"
    crew.until(lambda: not os.path.exists(f"/proc/{pid}"))
