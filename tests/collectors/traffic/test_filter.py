"""Capture filters, compiled by libpcap and attached to a real packet socket."""

import shutil
import struct
import subprocess

import pytest

from collectors.traffic import filter
from collectors.traffic.block import LINK_ETHERNET, MAX_CAPTURE
from collectors.traffic.filter import MAX_INSTRUCTIONS, compile_filter, complaint
from collectors.traffic.options import Options
from contracts.errors import Malformed, Unavailable


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


def test_settings_with_a_filter_that_is_none_are_refused_with_what_is_wrong() -> None:
    assert complaint("tcp port 80") == "" and filter._SNAP == MAX_CAPTURE
    with pytest.raises(ValueError, match="filter: 'tcp prot 80' is no capture filter"):
        Options(filter="tcp prot 80")


def test_without_libpcap_a_filter_is_a_failure_to_look_and_no_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filter, "_library", filter._library.__wrapped__)
    monkeypatch.setattr(filter, "_loaded", lambda _: None)
    assert Options(filter="tcp prot 80").filter == "tcp prot 80"
    assert not filter.load_library()
    with pytest.raises(Unavailable, match="libpcap"):
        compile_filter("tcp", 1)
