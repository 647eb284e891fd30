"""Commands in a worker: one thread each, every one answered."""

import socket
import threading

import msgspec
import pytest

from agent.channel import Channel, Ending
from agent.deeds import Deeds
from agent.framing import read_frame, worker_codec
from agent.supervision import MAX_AT_ONCE
from contracts.action import Command, Result
from contracts.errors import Why
from contracts.frames import Advance, Do, Finished
from contracts.options import ActionOptions
from contracts.outcome import Failed, Ok


class Options(ActionOptions):
    depth: int = 1


@pytest.fixture
def deeds():
    """Make `Deeds` of one action that does what the function given does; returns it and how to hear its answers."""
    ours, theirs = socket.socketpair()
    ours.settimeout(10)

    def start(how, **options):
        class Deed:
            name, kinds, arguments = "deed", (), {}

            def __init__(self, options):
                self.options_given = options

            def do(self, host, command, progress):
                return how(host, command, progress)

        Deed.options = Options
        hosts = ("real", "dry")
        made = Deeds({"deed": Deed}, options, tuple(map(Host, hosts)), Channel(theirs), Ending())
        return made, lambda: worker_codec().decode(read_frame(ours))

    yield start
    ours.close()
    theirs.close()


class Host:
    def __init__(self, name):
        self.name = name

    def now(self):
        from datetime import UTC, datetime

        return datetime.now(UTC)


def order(number=1, action="deed", **more):
    return Do(id=number, command=Command(id=str(number), action=action, **more), deadline_s=5)


def test_a_command_is_answered_after_its_progress(deeds):
    def how(host, command, progress):
        progress(1, 3, "files", "a")
        return Result(summary="done")

    made, hear = deeds(how)
    made.begin(order())
    assert hear() == Advance(id=1, done=1, total=3, unit="files", what="a")
    finished = hear()
    assert isinstance(finished, Finished) and (finished.result.outcome, finished.result.summary) == (Ok(), "done")


@pytest.mark.parametrize(("dry", "name"), [(True, "dry"), (False, "real")])
def test_only_a_command_that_says_so_touches_the_real_host(deeds, dry, name):
    made, hear = deeds(lambda host, command, progress: Result(summary=host.name))
    made.begin(order(dry_run=dry))
    assert hear().result.summary == name


def test_more_than_agreed_at_once_are_refused_at_once(deeds):
    go = threading.Event()
    made, hear = deeds(lambda host, command, progress: (go.wait(60), Result())[1])
    for number in range(MAX_AT_ONCE + 1):
        made.begin(order(number))
    refused = hear()
    assert (refused.id, refused.result.outcome.why) == (MAX_AT_ONCE, Why.OTHER) and made.busy()
    go.set()
    assert {hear().id for _ in range(MAX_AT_ONCE)} == set(range(MAX_AT_ONCE))


def test_what_the_core_sends_the_moment_it_has_an_answer_is_not_one_too_many(deeds, monkeypatch):
    gate = threading.Event()

    def how(host, command, progress):
        assert command.id == "0" or gate.wait(60)
        return Result()

    made, hear = deeds(how)
    answer = made._answer

    def told(one, result, cost):
        if one.id == 0:
            made.begin(order(MAX_AT_ONCE))
        answer(one, result, cost)

    monkeypatch.setattr(made, "_answer", told)
    for number in range(1, MAX_AT_ONCE):
        made.begin(order(number))
    made.begin(order(0))
    assert hear().id == 0
    gate.set()
    assert {(one.id, one.result.outcome) for one in (hear() for _ in range(MAX_AT_ONCE))} == {
        (number, Ok()) for number in range(1, MAX_AT_ONCE + 1)
    }


def test_an_unknown_action_wrong_settings_and_an_answer_that_cannot_travel_are_all_answered(deeds):
    made, hear = deeds(
        lambda host, command, progress: Result(summary="\udcff"), deed=msgspec.msgpack.encode({"deep": 1})
    )
    made.begin(order(action="other"))
    assert hear().result.outcome.why == Why.DISABLED
    made.begin(order())
    outcome = hear().result.outcome
    assert isinstance(outcome, Failed) and outcome.permanent and "settings of deed" in outcome.error
    made, hear = deeds(lambda host, command, progress: Result(summary="\udcff"))
    made.begin(order())
    assert "cannot be encoded" in hear().result.outcome.error


def test_a_deed_that_names_its_capabilities_holds_no_others(deeds, monkeypatch):
    kept = []
    monkeypatch.setattr(
        "agent.deeds.privileges.restrict_thread", lambda names: kept.append((names, threading.get_ident()))
    )
    made, hear = deeds(lambda host, command, progress: Result(summary=str(threading.get_ident())))
    made._actions["deed"].capabilities = ("CAP_CHOWN",)
    made.begin(order())
    assert kept == [(("CAP_CHOWN",), int(hear().result.summary))]
