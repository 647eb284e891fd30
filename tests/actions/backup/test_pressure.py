"""A backup waits for the rest of the server, and not for ever."""

from actions.backup.options import PressureOptions
from actions.backup.pressure import Patience
from contracts.errors import Unavailable, Why


class Files:
    """What /proc/pressure says, one reading after another; the last stays."""

    def __init__(self, **said: list[float] | None) -> None:
        self.said = said
        self.read_count = 0

    def read(self, path: str, max_bytes: int = 1 << 20) -> bytes:
        self.read_count += 1
        values = self.said.get(path.removeprefix("/proc/pressure/"), [0.0])
        if values is None:
            raise Unavailable(Why.NOT_PRESENT, f"{path} is not there")
        value = values.pop(0) if len(values) > 1 else values[0]
        text = (
            f"some avg10={value:.2f} avg60=0.00 avg300=0.00 total=1\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=0\n"
        )
        return text.encode()


def patience(files: Files, **options: float) -> tuple[Patience, list[float]]:
    slept: list[float] = []
    return Patience(PressureOptions(**options), files, slept.append), slept  # type: ignore[arg-type]


def test_without_pressure_nothing_waits() -> None:
    made, slept = patience(Files())
    assert made.wait() == ""
    assert (slept, made.paused_s) == ([], 0.0)


def test_it_waits_until_the_pressure_is_gone_and_says_for_what() -> None:
    made, slept = patience(Files(io=[70.0, 65.0, 10.0]))
    assert made.wait() == "io"
    assert (len(slept), made.paused_s) == (2, 2.0)


def test_it_never_waits_longer_than_it_may_altogether() -> None:
    made, slept = patience(Files(memory=[90.0]), pause_at_most=3.5)
    assert made.wait() == "memory"
    assert sum(slept) == 3.5
    assert made.wait() == ""
    assert made.paused_s == 3.5


def test_a_limit_of_a_hundred_is_none_and_at_the_limit_is_not_above_it() -> None:
    files = Files(cpu=[100.0], io=[60.0])
    made, slept = patience(files, cpu=100.0, io=60.0)
    assert made.wait() == ""
    assert slept == []


def test_a_kernel_that_does_not_say_is_no_reason_to_wait_and_is_remembered() -> None:
    made, slept = patience(Files(io=None, cpu=None, memory=None))
    assert made.wait() == ""
    assert slept == []
    assert "is not there" in made.unknown
