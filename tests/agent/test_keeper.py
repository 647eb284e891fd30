"""Keeping one worker: connecting, greeting, back-off, settings that change."""

import os
import signal
import socket
import struct
import time

import msgspec
import pytest
from msgspec.structs import replace

from agent.keeper import KINDS
from agent.privileges import WORKERS, account
from contracts.errors import Unreachable, Why
from tests.agent.conftest import QUICK


class Nowhere:
    """A connector to workers that are not there."""

    def __init__(self):
        self.tries = 0

    def connect(self, name):
        self.tries += 1
        raise Unreachable(f"worker {name} cannot be reached")

    def kill(self, name):
        return False

    def uids(self, name):
        return frozenset()


def test_a_worker_that_cannot_be_reached_is_tried_again_and_said_once(team, spec):
    nowhere = Nowhere()
    crew = team(spec(), connector=nowhere)
    crew.until(lambda: nowhere.tries >= 5)
    assert crew.sink.kinds() == ["agent.worker_died"]
    assert crew.state().state in ("backing_off", "starting") and "cannot be reached" in crew.state().detail
    assert crew.look().outcome.why == Why.WORKER_DOWN


def test_an_on_demand_worker_that_cannot_be_reached_answers_at_the_deadline_and_rests(team, spec, monkeypatch):
    monkeypatch.setattr("agent.errands.GRACE_S", 0.1)
    crew = team(spec("messenger", on_demand=True), connector=Nowhere())
    result, _ = crew.do(deadline_s=0.3)
    assert result.outcome.why == Why.TIMEOUT
    crew.until(lambda: crew.state("messenger").state == "idle")


def test_state_says_which_process_of_which_user_it_is_as_the_kernel_knows(team, spec, script):
    crew = team(spec(script=script()))
    state = crew.running()
    link = crew.supervisor._keepers["reader"]._link
    peer = struct.unpack("3i", link._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    assert state.pid not in (0, peer[0]) and state.uid == account("reader", WORKERS["reader"].user).uid
    assert crew.supervisor.lost() == {"reader": ()}


def test_an_idle_on_demand_worker_is_not_asked_to_look(team, spec):
    crew = team(spec("messenger", on_demand=True))
    assert crew.look().outcome.why == Why.WORKER_DOWN
    assert crew.state("messenger").state == "idle"


def test_settings_that_change_while_a_look_is_at_work_wait_for_its_end(team, spec, script):

    crew = team(spec(script=script(many=1000)))
    pid = crew.running().pid
    looks = []
    crew.supervisor.collect("probe", 30, looks.append)
    crew.supervisor.reconfigure([spec(script=script.path, subjects=("probe", "more"))])
    crew.supervisor.collect("probe", 30, looks.append)
    crew.until(lambda: len(looks) == 2)
    assert type(looks[0].outcome).__name__ == "Ok" and len(looks[0].changes.put) == 1000
    crew.until(lambda: crew.state().pid not in (0, pid))
    assert all(type(look.outcome).__name__ == "Ok" for look in looks), "a reload is no failure to look"
    assert crew.sink.own == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_its_events_carry_the_same_fields_and_advice(kind):
    assert (
        kind.name.startswith("agent.")
        and kind.advice
        and set(kind.fields) == {"worker", "detail", "restarts", "wait_s"}
    )
    event = kind.event("reader", worker="reader", detail="x", restarts=1, wait_s=0.5)
    assert kind.title.format(key=event.key, **event.fields)


def test_a_watcher_that_takes_other_settings_while_it_watches_is_told_them_and_stays(team, spec, script):
    first = spec(script=script(many=1))
    live = replace(first, live=tuple(first.options))
    crew = team(live)
    pid = crew.running().pid
    name = next(iter(live.options))
    other = msgspec.msgpack.encode({**msgspec.msgpack.decode(live.options[name]), "every": 77.0})
    crew.supervisor.reconfigure([replace(live, options={**live.options, name: other})])
    time.sleep(0.5)
    assert crew.running().pid == pid, "not started anew"
    crew.supervisor.reconfigure([replace(live, subjects=(*live.subjects, "more"))])
    crew.until(lambda: crew.state().pid not in (0, pid))


def test_at_the_end_one_whose_watchers_have_things_kept_is_heard_until_it_has_ended(team, spec, script):
    last = {"ticker": {"flows": (1024, 4096)}}
    crew = team(spec(script=script(), keeps=last), spec("netfilter", subjects=("other",)))
    crew.running("netfilter")
    pid = crew.running().pid
    done = []
    crew.supervisor.stop(lambda: done.append(1))
    assert (crew.state("netfilter").state, done) == ("stopped", []), "that one holds nothing"
    crew.until(lambda: done)
    assert crew.state().state == "stopped"
    crew.until(lambda: not os.path.exists(f"/proc/{pid}/fd/0"))
    assert crew.sink.own == [], "and not because it broke"


def test_the_end_does_not_wait_for_ever_for_one_that_does_not_end(team, spec, script):
    crew = team(spec(script=script(), keeps={"ticker": {"flows": (1024, 4096)}}), timing=replace(QUICK, farewell_s=0.3))
    pid = crew.running().pid
    os.kill(pid, signal.SIGSTOP)
    try:
        done, began = [], time.monotonic()
        crew.supervisor.stop(lambda: done.append(1))
        crew.until(lambda: done)
        assert 0.2 < time.monotonic() - began < 30
    finally:
        os.kill(pid, signal.SIGCONT)


def test_without_workers_the_end_is_at_once(team):
    done = []
    team(connector=Nowhere()).supervisor.stop(lambda: done.append(1))
    assert done == [1]
