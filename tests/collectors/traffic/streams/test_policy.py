"""Overlapping segments, by the target's policy."""

import pytest

from collectors.traffic.streams.policy import Policy, newcomer_wins

OLD = (10, 20)
PLACES = {
    "before": (5, 15),
    "same": (10, 20),
    "longer": (10, 25),
    "around": (5, 25),
    "inside": (12, 18),
    "behind": (15, 25),
}


@pytest.mark.parametrize(
    ("policy", "wins"),
    [
        (Policy.FIRST, set()),
        (Policy.VISTA, set()),
        (Policy.LAST, set(PLACES)),
        (Policy.BSD, {"before", "around"}),
        (Policy.WINDOWS, {"before", "around"}),
        (Policy.LINUX, {"before", "around", "longer"}),
        (Policy.OLD_LINUX, {"before", "around", "longer", "same"}),
        (Policy.SOLARIS, {"around", "longer", "same", "behind"}),
        (Policy.HPUX11, {"around", "longer", "same", "behind"}),
    ],
)
def test_who_wins_where(policy: Policy, wins: set[str]) -> None:
    assert {name for name, (start, end) in PLACES.items() if newcomer_wins(policy, start, end, *OLD)} == wins
