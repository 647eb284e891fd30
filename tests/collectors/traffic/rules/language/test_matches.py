"""Contents know whether their place depends on the match before."""

import pytest

from collectors.traffic.rules.language.matches import Content


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (Content(b"a"), False),
        (Content(b"a", distance=0), True),
        (Content(b"a", within=5), True),
        (Content(b"a", offset=0, depth=1), False),
    ],
)
def test_relative_is_distance_or_within(content: Content, expected: bool) -> None:
    assert content.relative is expected
