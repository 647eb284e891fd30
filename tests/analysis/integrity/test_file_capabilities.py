"""File capabilities as rpm writes them, against what the kernel keeps."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.file_capabilities import UNKNOWN, raw, said


@pytest.mark.parametrize(
    "text", ["cap_net_raw=ep", "cap_net_admin,cap_net_raw=ep", "cap_setuid=p", "cap_bpf,cap_chown=eip", "cap_kill=i"]
)
def test_it_is_what_setcap_makes_of_it(text, tmp_path: Path) -> None:
    path = tmp_path / "tool"
    shutil.copy("/bin/true", path)
    subprocess.run(["setcap", text, str(path)], check=True)
    assert os.getxattr(path, "security.capability") == raw(text)


def test_clauses_add_up_and_take_away() -> None:
    assert raw("cap_net_raw=p cap_net_raw+e") == raw("cap_net_raw=ep")
    assert raw("cap_net_raw=ep cap_net_raw-e") == raw("cap_net_raw=p") and raw("") == b"" == raw("cap_kill=")


@given(st.text(max_size=40))
def test_what_is_not_understood_equals_nothing_that_the_kernel_keeps(text) -> None:
    assert raw(text) in (b"", UNKNOWN) or len(raw(text)) == 20
    assert raw("cap_of_tomorrow=ep") == UNKNOWN


@pytest.mark.parametrize(
    "text", ["cap_net_raw=ep", "cap_net_admin,cap_net_raw=ep", "cap_setuid=p", "cap_bpf=eip cap_chown=eip"]
)
def test_an_attribute_is_said_as_getcap_does(text) -> None:
    assert raw(said(raw(text))) == raw(text) and said(raw("cap_net_raw=ep")) == "cap_net_raw=ep"


@given(st.binary(max_size=30))
def test_any_attribute_is_said_in_one_line(attribute) -> None:
    assert "\n" not in said(attribute)
    assert said(b"\x02") == "02" and said(
        raw("cap_kill=p")[:3] + b"\x03" + raw("cap_kill=p")[4:] + b"\x05\0\0\0"
    ).endswith("uid 5)")
