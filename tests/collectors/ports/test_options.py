"""The settings refuse what cannot be understood, and say which entry it is."""

import msgspec
import pytest

from collectors.ports.options import Options


def test_a_wrong_entry_is_named_with_its_place() -> None:
    with pytest.raises(msgspec.ValidationError, match=r'expected\[1\]: "tcp/99999"'):
        msgspec.convert({"expected": ["tcp/22", "tcp/99999"]}, Options)


def test_the_defaults_expect_nothing_and_hold() -> None:
    assert Options().expected == []
    assert msgspec.convert({"expected": ["tcp/22=sshd"], "poll": 2.0}, Options).poll == 2.0
