"""A run ends in exactly one way, and the ways are told apart when they travel."""

import msgspec
import pytest

from contracts.errors import Why
from contracts.outcome import Cost, Failed, Ok, Outcome, Run, Unavailable


@pytest.mark.parametrize(
    "outcome", [Ok(), Unavailable(why=Why.TIMEOUT, detail="slow"), Failed(error="x", permanent=True)]
)
def test_every_outcome_comes_back_as_itself(outcome: Outcome) -> None:
    run = Run(name="ports", started_ms=1, outcome=outcome, cost=Cost(cpu_s=0.5))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(run), type=Run) == run


def test_a_run_without_an_outcome_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode({"name": "x", "started_ms": 1}), type=Run)
