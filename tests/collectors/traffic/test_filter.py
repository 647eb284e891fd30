"""Capture filters, compiled by libpcap and attached to a real packet socket."""

import shutil
import struct
import subprocess

import pytest

from collectors.traffic.block import LINK_ETHERNET
from collectors.traffic.filter import MAX_INSTRUCTIONS, compile_filter
from contracts.errors import Malformed


def test_the_program_is_the_one_that_tcpdump_shows() -> None:
    tool = shutil.which("tcpdump")
    assert tool
    shown = subprocess.run(
        [tool, "-y", "EN10MB", "-s", "262144", "-ddd", "tcp port 80"], check=True, capture_output=True
    )
    lines = [tuple(map(int, line.split())) for line in shown.stdout.decode().splitlines()[1:]]
    code = compile_filter("tcp port 80", LINK_ETHERNET)
    assert list(struct.iter_unpack("HBBI", code)) == lines


@pytest.mark.parametrize("expression", ["port nowhere", "tcp and and", "a\0b"])
def test_what_is_no_filter_is_named_with_advice(expression: str) -> None:
    with pytest.raises(Malformed) as caught:
        compile_filter(expression, LINK_ETHERNET)
    assert "tcpdump" in caught.value.advice


def test_a_filter_too_long_for_the_kernel_is_refused() -> None:
    assert len(compile_filter(" or ".join(["ip[8]>1"] * 300), LINK_ETHERNET)) <= MAX_INSTRUCTIONS * 8
    with pytest.raises(Malformed, match="too long"):
        compile_filter(" or ".join(["ip[8]>1"] * 20_000), LINK_ETHERNET)
