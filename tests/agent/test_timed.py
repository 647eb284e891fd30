"""Deeds with a time of day are carried out for the schedule, for real."""

from collections.abc import Callable

from agent.responder import Deed
from agent.timed import Timed, TimedDeeds
from contracts.action import Command, Result
from contracts.errors import Why
from contracts.frames import Advance
from contracts.outcome import Failed, Ok, Unavailable


class Core:
    def __init__(self) -> None:
        self.given: list[tuple[Deed, Command]] = []
        self.done: list[Callable[[Result], None]] = []

    def do_for(
        self, deed: Deed, command: Command, done: Callable[[Result], None], progress: Callable[[Advance], None]
    ) -> None:
        progress(Advance(id=1, done=1.0, total=2.0, unit="bytes"))
        self.given.append((deed, command))
        self.done.append(done)


def test_a_deed_is_done_with_its_arguments_and_its_end_is_told() -> None:
    core = Core()
    deeds = TimedDeeds(core, lambda: "id")
    deed = Deed(action="backup", worker="backup")
    deeds.use({"backup etc": Timed(action="backup", arguments={"job": "etc"}, at="02:15")}, {"backup": deed})
    ended: list[str] = []
    deeds.run("backup etc", lambda: ended.append("backup etc"))
    ((given, command),) = core.given
    assert (given, command.arguments, command.who, command.dry_run) == (deed, {"job": "etc"}, "schedule", False)
    assert ended == []
    core.done[0](Result())
    assert ended == ["backup etc"]


def test_what_is_switched_off_or_unknown_ends_at_once() -> None:
    core = Core()
    deeds = TimedDeeds(core, lambda: "id")
    ended: list[int] = []
    deeds.run("gone", lambda: ended.append(1))
    deeds.use({"backup etc": Timed(action="backup", arguments={}, at="02:15")}, {})
    deeds.run("backup etc", lambda: ended.append(2))
    assert ended == [1, 2]
    assert core.given == []


class Daily:
    """One deed that is tried again twice; time passes by hand."""

    def __init__(self) -> None:
        self.core = Core()
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.deeds = TimedDeeds(self.core, lambda: "id", lambda after, call: self.later.append((after, call)))
        timed = Timed(action="backup", arguments={"job": "etc"}, at="02:15", retries=2, retry_s=600.0)
        self.deeds.use({"backup etc": timed}, {"backup": Deed(action="backup", worker="backup")})
        self.ended = 0
        self.deeds.run("backup etc", self._ended)

    def _ended(self) -> None:
        self.ended += 1

    def end(self, outcome: Ok | Failed) -> None:
        self.core.done[-1](Result(outcome=outcome))

    def pass_time(self) -> float:
        after, call = self.later.pop()
        call()
        return after


def test_what_failed_in_passing_is_tried_again_with_growing_pauses_and_told_what_was_said() -> None:
    daily = Daily()
    daily.end(Failed(error="the store is away"))
    assert daily.ended == 1, "the day's run has ended, and the next day is planned"
    assert daily.pass_time() == 600.0
    assert daily.core.given[1][1].arguments == {"job": "etc", "told": "the store is away"}
    daily.end(Failed(error="the store is away"))
    assert daily.pass_time() == 1200.0
    daily.end(Failed(error="the store is away"))
    assert (daily.later, len(daily.core.given), daily.ended) == ([], 3, 1)


def test_what_succeeded_or_will_never_do_is_not_tried_again() -> None:
    for outcome in (Ok(), Failed(error="wrong password", permanent=True)):
        daily = Daily()
        daily.end(outcome)
        assert daily.later == []


def test_an_attempt_of_yesterday_gives_way_to_the_run_of_today_and_to_the_configuration() -> None:
    daily = Daily()
    daily.end(Failed(error="the store is away"))
    daily.deeds.run("backup etc", lambda: None)
    daily.pass_time()
    assert len(daily.core.given) == 2
    daily.end(Failed(error="the store is away"))
    daily.deeds.use({}, {})
    daily.pass_time()
    assert len(daily.core.given) == 2


class Life:
    """One life of an agent: the same memory and clock as the life before, but nothing else of it."""

    def __init__(self, memory: dict[str, bytes], now_s: float, retries: int = 2) -> None:
        self.core, self.now_s = Core(), now_s
        self.later: list[tuple[float, Callable[[], None]]] = []
        facts = type(
            "Facts", (), {"get": lambda _, name: memory.get(name), "put": lambda _, *pair: memory.update([pair])}
        )
        self.deeds = TimedDeeds(
            self.core, lambda: "id", lambda *pair: self.later.append(pair), facts(), lambda: round(self.now_s * 1000)
        )
        timed = Timed(action="backup", arguments={"job": "etc"}, at="02:15", retries=retries, retry_s=600.0)
        self.deeds.use({"backup etc": timed}, {"backup": Deed(action="backup", worker="backup")})
        self.deeds.resume()

    def run(self) -> None:
        self.deeds.run("backup etc", lambda: None)

    def end(self, outcome: Ok | Failed | Unavailable) -> None:
        self.core.done[-1](Result(outcome=outcome))


def test_an_attempt_that_is_owed_outlives_the_agent_with_what_was_told() -> None:
    memory: dict[str, bytes] = {}
    first = Life(memory, 1000.0)
    first.run()
    first.end(Failed(error="the store is away"))
    second = Life(memory, 1200.0)
    ((pause_s, attempt),) = second.later
    assert pause_s == 400.0
    attempt()
    assert second.core.given[0][1].arguments == {"job": "etc", "told": "the store is away"}
    second.end(Failed(error="the store is still away"))
    third = Life(memory, 9000.0)
    ((pause_s, attempt),) = third.later
    assert pause_s == 30.0, "it is past due; what was missed of today goes first"
    attempt()
    third.end(Failed(error="the store is away"))
    assert Life(memory, 9100.0).later == [], "all attempts are used up"


def test_a_run_that_the_end_of_the_agent_cut_off_is_tried_again() -> None:
    for said in (None, Unavailable(why=Why.WORKER_DOWN, detail="the agent stops")):
        memory: dict[str, bytes] = {}
        first = Life(memory, 1000.0)
        first.run()
        if said is not None:
            first.end(said)
        second = Life(memory, 1100.0)
        ((pause_s, attempt),) = second.later
        assert pause_s == 500.0
        attempt()
        assert second.core.given[0][1].arguments == {"job": "etc"}


def test_nothing_is_owed_after_success_for_good_failures_or_without_retries() -> None:
    for outcome in (Ok(), Failed(error="wrong password", permanent=True)):
        memory: dict[str, bytes] = {}
        life = Life(memory, 1000.0)
        life.run()
        life.end(outcome)
        assert Life(memory, 1001.0).later == []
    memory = {}
    Life(memory, 1000.0, retries=0).run()
    assert Life(memory, 1001.0, retries=0).later == []
    assert Life({"owed:backup etc": b"rubbish"}, 1.0).later == []


def test_the_run_of_today_takes_the_place_of_what_was_owed() -> None:
    memory: dict[str, bytes] = {}
    first = Life(memory, 1000.0)
    first.run()
    first.end(Failed(error="the store is away"))
    second = Life(memory, 90_000.0)
    second.run()
    second.later[0][1]()
    assert len(second.core.given) == 1
    second.end(Ok())
    assert Life(memory, 90_100.0).later == []
