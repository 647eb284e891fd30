"""Capabilities by name."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from host import capabilities


@given(st.sets(st.integers(0, 63)))
def test_every_bit_has_one_name(numbers: set[int]) -> None:
    names = capabilities.parse(sum(1 << number for number in numbers))
    assert len(names) == len(numbers)


def test_known_numbers_have_their_names() -> None:
    assert capabilities.parse(1 << 12 | 1 << 19 | 1 << 2) == {"CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"}


def test_what_is_held_is_read_from_the_kernel(netns: Any) -> None:
    code = """
import json
from host import capabilities
lacking = capabilities.missing("CAP_NET_ADMIN", "CAP_SYS_PTRACE")
print(json.dumps([sorted(capabilities.effective()), lacking]))
"""
    held, lacking = netns.python(code, capabilities=(19,))
    assert held == ["CAP_SYS_PTRACE"]
    assert lacking == ["CAP_NET_ADMIN"]


def test_advice_names_what_lacks() -> None:
    assert "CAP_NET_ADMIN and CAP_NET_RAW" in capabilities.advice(["CAP_NET_ADMIN", "CAP_NET_RAW"])
    assert "security module" in capabilities.advice([])
