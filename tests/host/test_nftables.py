"""What the kernel says of nftables without a tool, against a real ruleset."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import Malformed
from host import nftables

ASK = """
import json, sys
from contracts.errors import Unavailable
from host.nftables import LinuxNftables
kernel = LinuxNftables()
answers = []
for question in json.loads(sys.argv[1]):
    try:
        answers.append(kernel.count(*question) if question else kernel.generation())
    except Unavailable as error:
        answers.append([error.why, error.advice])
print(json.dumps(answers))
"""

SETS = """
add table inet t
add set inet t plain { type ipv4_addr; }
add set inet t spans { type ipv4_addr; flags interval; }
add set inet t pairs { type ipv4_addr . inet_service; flags interval; }
add map inet t where { type inet_service : verdict; }
add element inet t spans { 10.0.0.0/8, 192.0.2.1-192.0.2.9, 198.51.100.7 }
add element inet t pairs { 10.0.0.0/8 . 1-9, 192.0.2.1 . 80 }
add element inet t where { 1 : accept, 2 : drop }
"""


def ask(netns: Any, *questions: list[Any] | None, capabilities: tuple[int, ...] | None = None) -> list[Any]:
    import json

    answers: list[Any] = netns.python(ASK, json.dumps(questions), capabilities=capabilities)
    return answers


def load(netns: Any, program: str) -> None:
    import subprocess

    subprocess.run(netns.inside("nft", "-f", "-"), input=program.encode(), check=True)


def test_every_commit_raises_the_generation(netns: Any) -> None:
    (first,) = ask(netns, None)
    load(netns, "add table ip a")
    (second,) = ask(netns, None)
    assert second == first + 1


def test_elements_are_counted_and_an_interval_is_one(netns: Any) -> None:
    load(netns, SETS)
    names = ("plain", "spans", "pairs", "where")
    assert ask(netns, *(["inet", "t", name, 100] for name in names)) == [0, 3, 2, 2]


def test_counting_ends_at_the_limit(netns: Any) -> None:
    load(netns, SETS)
    many = ", ".join(f"10.1.{n >> 8}.{n & 255}" for n in range(5000))
    load(netns, f"add element inet t plain {{ {many} }}")
    assert ask(netns, ["inet", "t", "plain", 4999], ["inet", "t", "plain", 5000]) == [5000, 5000]


def test_a_set_that_is_gone_is_not_present(netns: Any) -> None:
    load(netns, "add table inet t")
    ((why, advice),) = ask(netns, ["inet", "t", "gone", 5])
    assert why == "not_present"
    assert advice


def test_without_the_capability_it_says_so(netns: Any) -> None:
    ((why, advice),) = ask(netns, None, capabilities=())
    assert why == "permission"
    assert "CAP_NET_ADMIN" in advice


@given(st.binary(max_size=64))
def test_attributes_never_reach_beyond_their_message(raw: bytes) -> None:
    try:
        found = list(nftables.attributes(raw, 0, len(raw)))
    except Malformed:
        return
    assert all(0 <= start <= end <= len(raw) for _, start, end in found)


def test_an_attribute_that_is_too_long_is_malformed() -> None:
    with pytest.raises(Malformed):
        list(nftables.attributes(struct.pack("=HH", 9, 1) + b"abcd", 0, 8))


RANGES = """
add table inet t
add chain inet t c
add rule inet t c tcp dport 22-80 tcp sport 1024-65535
add rule inet t c tcp dport != 22-80
add rule inet t c tcp dport < 22 tcp dport > 80
add rule inet t c tcp dport 22
"""
ASK_RANGES = """
import json
from host.nftables import LinuxNftables
print(json.dumps(list(LinuxNftables().ranges("inet", "t", "c", range(2, 5)).items())))
"""


def test_ranges_are_counted_as_the_kernel_compares(netns: Any) -> None:
    for line in RANGES.strip().splitlines():
        netns.run("nft", line)
    assert netns.python(ASK_RANGES) == [[2, [2, 0]], [3, [0, 1]], [4, [0, 0]]]
