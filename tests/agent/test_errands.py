"""What a worker owes answers for: order, deadlines, and what happens to what waits."""

from itertools import count

import pytest
from msgspec.structs import replace

from agent.errands import Errands
from agent.loop import Loop
from agent.worker_link import Violation
from contracts.action import Command, Result
from contracts.coverage import Blind
from contracts.errors import Malformed, Why
from contracts.frames import Collect, Do, Done, Fetch, Finished, Keep, Material, NeedSnapshot, SnapshotPage, Stored
from contracts.outcome import Cost, Failed, Ok


class Link:
    """Remembers what was sent."""

    def __init__(self):
        self.sent = []

    def send(self, frame):
        self.sent.append(frame)

    def stream(self, frames):
        self.sent.extend(frames)


class Now:
    def now_ms(self):
        return 5

    def monotonic(self):
        return 0.0


class Rows:
    def __init__(self, rows=()):
        self._rows = dict(rows)

    def revision(self, subject):
        return len(self._rows)

    def rows(self, subject):
        return self._rows

    def at_ms(self, subject):
        return 77


@pytest.fixture
def errands(spec):
    loop, overran = Loop(), []

    def make(rows=()):
        made = Errands(spec(), loop, Rows(rows), None, Now(), count(1), overran.append)
        made.overran, made.loop = overran, loop
        return made

    yield make
    loop.close()


def looks(errands, *subjects):
    answers = []
    for subject in subjects:
        errands.collect(subject, 5.0, answers.append)
    return answers


def test_looks_are_asked_one_at_a_time_in_order(errands):
    made, link = errands(), Link()
    answers = looks(made, "probe", "probe", "probe")
    assert link.sent == []
    made.attach(link)
    assert [frame.id for frame in link.sent] == [1]
    made.hear(Done(id=1, outcome=Ok(), cost=Cost(), blind=(Blind(what="x", why=Why.OTHER),)))
    assert [type(frame) for frame in link.sent] == [Collect, Collect]
    assert len(answers) == 1 and answers[0].blind and answers[0].started_ms == 5 and made.busy


def test_a_snapshot_goes_out_in_pages_with_the_last_one_marked(errands):
    made, link = errands({f"{n}": bytes(1000) for n in range(600)}), Link()
    looks(made, "probe")
    made.attach(link)
    made.hear(NeedSnapshot(id=1, subject="probe"))
    pages = [frame for frame in link.sent if isinstance(frame, SnapshotPage)]
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True] and len(pages) > 1
    assert sum(len(page.rows) for page in pages) == 600 and {page.at_ms for page in pages} == {77}
    made.stored(1, "probe", 601)
    assert link.sent[-1] == Stored(id=1, subject="probe", revision=601)


def test_when_the_worker_goes_everything_asked_is_answered_and_waiting_commands_keep_waiting(errands):
    made, link = errands(), Link()
    answers, results = looks(made, "probe", "probe"), []
    made.attach(link)
    made.do(Command(id="a", action="deed"), 5, lambda result, cost: results.append(result), None)
    made.pause()
    made.do(Command(id="b", action="deed"), 5, lambda result, cost: results.append(result), None)
    made.abandon("killed", commands=False)
    assert [answer.outcome.why for answer in answers] == [Why.WORKER_DOWN] * 2
    assert len(results) == 1 and isinstance(results[0].outcome, Failed) and made.waiting and not made.busy
    again = Link()
    made.attach(again)
    assert [frame.command.id for frame in again.sent if isinstance(frame, Do)] == ["b"]
    made.hear(Finished(id=again.sent[0].id, result=Result(summary="done"), cost=Cost()))
    assert results[1].summary == "done"


def test_commands_do_not_wait_for_looks_and_no_more_than_agreed_go_out_at_once(errands):
    made, link = errands(), Link()
    looks(made, "probe")
    made.attach(link)
    results = []
    for number in range(10):
        made.do(Command(id=str(number), action="deed"), 5, lambda result, cost: results.append(result), None)
    sent = [frame for frame in link.sent if isinstance(frame, Do)]
    assert len(sent) == 8
    made.hear(Finished(id=sent[0].id, result=Result(), cost=Cost()))
    assert len([frame for frame in link.sent if isinstance(frame, Do)]) == 9 and len(results) == 1


def test_a_command_that_cannot_travel_is_failed_not_lost(errands):
    from contracts.errors import TooLarge

    class Narrow(Link):
        def send(self, frame):
            raise TooLarge("too large")

    made, results = errands(), []
    made.attach(Narrow())
    made.do(Command(id="a", action="deed"), 5, lambda result, cost: results.append(result), None)
    assert isinstance(results[0].outcome, Failed) and not made.busy


def test_a_command_that_waits_past_its_deadline_is_answered(errands, monkeypatch):
    monkeypatch.setattr("agent.errands.GRACE_S", 0.0)
    made, results = errands(), []
    made.do(Command(id="a", action="deed"), 0.05, lambda result, cost: results.append(result), None)
    made.loop.call_later(0.2, made.loop.stop)
    made.loop.run()
    assert results[0].outcome.why == Why.TIMEOUT and not made.waiting and made.overran == []


class Holder:
    def __init__(self):
        self.kept, self.forgotten = [], []

    def hand_over(self, spec, watcher, name, have):
        yield Material(watcher=watcher, name=name, signature="s", unchanged=have == "s", last=True)

    def keep(self, spec, piece):
        if piece.name == "bad":
            raise Malformed("not agreed to")
        self.kept.append(piece.name)

    def forget(self, spec):
        self.forgotten.append(spec.name)


def test_what_a_watcher_fetches_is_streamed_and_what_it_keeps_is_handed_on(spec):
    holder, loop = Holder(), Loop()
    known = replace(spec(), watchers=("ticker",), materials={"ticker": {"rules": {}}})
    made = Errands(known, loop, Rows(()), None, Now(), count(1), [].append, holder)
    link = Link()
    streams = []
    link.stream = lambda pieces: streams.extend(pieces)
    made.attach(link)
    made.hear(Fetch(watcher="ticker", name="rules", have="s"))
    assert [piece.unchanged for piece in streams] == [True]
    made.hear(Keep(watcher="ticker", what="evidence", name="good"))
    assert holder.kept == ["good"]
    for wrong in (
        Fetch(watcher="ticker", name="other"),
        Fetch(watcher="stranger", name="rules"),
        Keep(watcher="ticker", what="evidence", name="bad"),
        Keep(watcher="stranger", what="evidence", name="good"),
    ):
        with pytest.raises(Violation):
            made.hear(wrong)
    made.abandon("it ended", commands=True)
    assert holder.forgotten == [known.name]
    loop.close()
