"""A product of the settings: a command's answer or a file, read as the settings say."""

import os
import time

import msgspec
import pytest

from collectors.antivirus import generic
from collectors.antivirus.options import Options, ProductOptions
from contracts.errors import Why
from host.linux import LinuxHost

MOMENT = 1_751_900_000


def built(**wanted):
    blind = []
    row = generic.look(LinuxHost(), Options(), "other", ProductOptions(**wanted), blind)
    assert bool(blind) == bool(row.unknown)
    return row


def test_a_files_last_change_is_the_age(tmp_path):
    path = tmp_path / "signatures"
    path.write_text("x")
    os.utime(path, (MOMENT, MOMENT))
    assert built(file=str(path)).built_ms == MOMENT * 1000


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (str(MOMENT), "unix"),
        ("2025-07-07T14:53:20+00:00", "iso"),
        ("2025-07-07T16:53:20+02:00", "iso"),
        (time.strftime("%d %b %Y %H:%M:%S", time.localtime(MOMENT)), "%d %b %Y %H:%M:%S"),
        ("07.07.2025 14:53:20 +0000", "%d.%m.%Y %H:%M:%S %z"),
    ],
)
def test_a_time_is_read_as_the_settings_say(tmp_path, text, form):
    path = tmp_path / "state"
    path.write_text(f"engine 5\nsignatures: {text}\n")
    assert built(file=str(path), pattern=r"signatures: (.+)", time=form).built_ms == MOMENT * 1000
    row = built(command=("/bin/cat", str(path)), pattern=r"signatures: (.+)", time=form)
    assert row.built_ms == MOMENT * 1000


def test_what_cannot_be_read_is_unknown(tmp_path):
    (tmp_path / "state").write_text("signatures: never\n")
    for wanted in (
        {"file": f"{tmp_path}/none"},
        {"command": ("/nowhere/av",), "pattern": "(.)"},
        {"file": f"{tmp_path}/state", "pattern": "updated (.+)"},
        {"file": f"{tmp_path}/state", "pattern": "signatures: (.+)"},
        {"command": ("/bin/sleep", "0"), "pattern": "(x)"},
    ):
        row = built(**wanted)
        assert row.built_ms == 0 and row.unknown


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"file": "/a", "command": ["/b"]},
        {"command": ["b"], "pattern": "(.)"},
        {"file": "/a", "pattern": "x"},
        {"file": "/a", "pattern": "("},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(msgspec.ValidationError, match=r"command|pattern"):
        msgspec.convert(wrong, ProductOptions)


def test_a_configured_product_that_is_not_there_is_a_failure_to_look_and_no_finding(tmp_path):
    blind = []
    generic.look(LinuxHost(), Options(), "other", ProductOptions(file=f"{tmp_path}/gone"), blind)
    (spot,) = blind
    assert spot.why is Why.OTHER and "does not exist" in spot.detail and spot.fix
