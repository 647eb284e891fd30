"""Names that programs make up."""

import random

import pytest

from collectors.traffic.detectors.dns_generated import looks_generated
from tests.collectors.traffic.detectors.crowd import Packet, hear, lookup


def missing(labels: list[str]) -> list[Packet]:
    """Return look-ups of domains that do not exist."""
    return [
        p for n, label in enumerate(labels) for p in lookup("10.0.0.5", "10.0.0.2", n * 1.0, f"{label}.com", rcode=3)
    ]


def found(packets: list[Packet]) -> list[tuple[str, str]]:
    """Return kind and sender."""
    return [(one.kind.name, one.sender) for one in hear(packets)]


def made_up(count: int) -> list[str]:
    """Return labels of chance letters."""
    chance = random.Random(8)
    return ["".join(chance.choices("bcdfghjklmnpqrstvwxz", k=12)) for _ in range(count)]


def test_many_made_up_names_that_do_not_exist_are_told() -> None:
    assert found(missing(made_up(19))) == []
    assert found(missing(made_up(20))) == [("traffic.dns_names_generated", "10.0.0.5")]


def test_the_same_name_again_and_names_that_exist_do_not_count() -> None:
    assert found(missing(made_up(1) * 100)) == []
    assert (
        found([p for n, one in enumerate(made_up(60)) for p in lookup("10.0.0.5", "10.0.0.2", n, f"{one}.com")]) == []
    )


def test_amid_many_mistyped_words_few_made_up_names_say_nothing() -> None:
    words = [
        f"{one}{two}"
        for one in ("garden", "school", "mail", "house", "river")
        for two in ("table", "store", "music", "planet", "road")
    ]
    assert found(missing(words + made_up(20))) == []


@pytest.mark.parametrize("label", [b"xjwqzkvbnp", b"q7a3k9z2m4x1", b"kqzvbxwpljdh", b"a1b2c3d4e5f6"])
def test_made_up_labels_look_so(label: bytes) -> None:
    assert looks_generated(label)


@pytest.mark.parametrize(
    "label",
    [
        b"stackoverflow",
        b"wikipedia",
        b"washingtonpost",
        b"example",
        b"google",
        b"xn--mnchen-3ya",
        b"deutschebahn",
        b"bbc",
    ],
)
def test_words_do_not(label: bytes) -> None:
    assert not looks_generated(label)
