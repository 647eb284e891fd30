"""Memory is given back once the process has grown, not more often than every twenty seconds."""

from agent import kernel, thrift
from agent.thrift import GROWN, Thrift, resident_bytes


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_gives_back_only_after_growth_and_not_too_often(monkeypatch) -> None:
    trims: list[int] = []
    monkeypatch.setattr(kernel, "trim_memory", lambda: trims.append(1))
    clock, size = Clock(), [10 << 20]
    one = Thrift(clock, lambda: size[0])
    size[0] += GROWN
    assert not one.tick()
    clock.now += thrift.EVERY_S
    assert one.tick()
    clock.now += thrift.EVERY_S
    assert not one.tick()
    size[0] += GROWN - 1
    clock.now += thrift.EVERY_S
    assert not one.tick()
    size[0] += 1
    clock.now += thrift.EVERY_S
    assert one.tick()
    assert len(trims) == 2


def test_the_resident_size_is_that_of_this_process() -> None:
    before = resident_bytes()
    held = bytearray(b"x" * (64 << 20))
    assert resident_bytes() - before > (48 << 20)
    del held
