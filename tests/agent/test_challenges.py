"""Challenges are answered by the reader once each; an answer stays, in memory, until the console has it."""

import pytest

from agent.challenges import ACTION, MOST, NOT_WATCHED, Challenges
from agent.responder import Deed
from contracts.action import Result
from contracts.errors import Why
from contracts.outcome import Failed, Unavailable
from contracts.wire import Answered, Challenge

ASKED = Challenge(id="1", nonce="ab" * 16, paths=("/etc/x",))


class Home:
    def __init__(self, deeds):
        self.commands, self.beats = [], 0
        self.challenges = Challenges(self, lambda call: call(), lambda: deeds, lambda: "id", self._beat)

    def _beat(self):
        self.beats += 1

    def do_for(self, deed, command, done, progress):
        self.commands.append(command)
        self.done = done


@pytest.fixture
def home():
    return Home({ACTION: Deed(action=ACTION, worker="reader")})


def test_the_reader_is_asked_once_and_the_answer_stays_until_it_is_acknowledged(home):
    home.challenges.take([ASKED])
    home.challenges.take([ASKED])
    (command,) = home.commands
    assert command.arguments == {"nonce": "ab" * 16, "paths": ["/etc/x"], "count": 0} and not command.dry_run
    assert home.challenges.answers() == () and home.beats == 0
    home.done(Result(answer={"paths": ["/etc/x"], "proofs": ["ff"], "nonce": "ab" * 16}))
    expected = (Answered(id="1", proofs={"/etc/x": "ff"}),)
    assert home.challenges.answers() == expected == home.challenges.answers() and home.beats == 1
    home.challenges.take([ASKED])
    assert len(home.commands) == 1
    home.challenges.acknowledged(expected)
    assert home.challenges.answers() == ()


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (Result(outcome=Unavailable(why=Why.OTHER, detail="there is no baseline yet")), "there is no baseline yet"),
        (Result(outcome=Failed(error="timeout")), "timeout"),
        (Result(answer={"paths": ["/etc/x"], "proofs": []}), "the reader's answer could not be understood"),
    ],
)
def test_why_there_is_no_proof_is_said(home, result, said):
    home.challenges.take([ASKED])
    home.done(result)
    assert home.challenges.answers() == (Answered(id="1", problem=said),)


def test_a_host_that_watches_nothing_says_so():
    home = Home({})
    home.challenges.take([ASKED])
    assert home.challenges.answers() == (Answered(id="1", problem=NOT_WATCHED),) and home.commands == []


def test_a_console_that_asks_too_much_is_not_answered_at_once(home):
    home.challenges.take([Challenge(id=str(number), nonce="ab" * 16, count=8) for number in range(MOST + 3)])
    assert len(home.commands) == MOST
