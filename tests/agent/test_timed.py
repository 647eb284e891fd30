"""Deeds with a time of day are carried out for the schedule, for real."""

from collections.abc import Callable

from agent.responder import Deed
from agent.timed import Timed, TimedDeeds
from contracts.action import Command, Result
from contracts.frames import Advance


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
