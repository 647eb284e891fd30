"""Coverage names everything that is not wholly seen."""

import pytest

from contracts.coverage import Blind, Coverage, Sight
from contracts.errors import Why


def test_whatever_is_not_wholly_seen_is_named() -> None:
    sights = tuple(Sight(subject=state, state=state) for state in ("seen", "partial", "unseen", "unknown"))
    assert [sight.subject for sight in Coverage(sights=sights).unseen()] == ["partial", "unseen", "unknown"]


def test_a_blind_spot_says_why_from_the_closed_list() -> None:
    assert Blind(what="the owners", why=Why.PERMISSION).why in Why
    with pytest.raises(ValueError, match="tired"):
        Why("tired")
