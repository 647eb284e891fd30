"""The model of a ruleset: what is fleeting, what is dormant, and digests that see the order."""

import pytest

from collectors.firewall.ruleset import Chain, Part, Table


@pytest.mark.parametrize(
    ("definition", "fleeting"),
    [
        (("type ipv4_addr", "flags dynamic,timeout"), True),
        (("flags timeout",), True),
        (("flags interval",), False),
        ((), False),
    ],
)
def test_sets_that_change_by_themselves_are_fleeting(definition: tuple[str, ...], fleeting: bool) -> None:
    assert Part("set", "s", definition).fleeting is fleeting


def test_a_dormant_table_filters_nothing() -> None:
    assert Table("ip", "t", flags="flags dormant").dormant
    assert not Table("ip", "t").dormant


def test_a_digest_sees_order_and_the_other_tools_words() -> None:
    digests = {
        Chain("c", ["a", "b"]).digest(),
        Chain("c", ["b", "a"]).digest(),
        Chain("c", ["a", "b"], other_words=["x", "y"]).digest(),
    }
    assert len(digests) == 3
