"""Settings in percent, limits in shares; a bad pattern is refused where it stands."""

import pytest

from actions.backup.tripwire.options import TripwireOptions
from analysis.tripwire import Limits


def test_the_defaults_are_those_of_the_judgement() -> None:
    assert TripwireOptions().limits() == Limits()


def test_a_pattern_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="ignore: "):
        TripwireOptions(ignore=("[",))
