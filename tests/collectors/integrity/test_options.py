"""It is off until somebody wants it, and then quiet about what changes by itself."""

import msgspec
import pytest

from analysis.excludes import Excludes
from collectors.integrity.options import PROFILES, Options


def test_nothing_is_watched_until_it_is_enabled() -> None:
    assert not Options().enabled


@pytest.mark.parametrize("path", ["/etc/mtab", "/etc/adjtime", "/etc/lvm/archive/x", "/etc/.foo.swp", "/etc/passwd~"])
def test_what_programs_rewrite_by_themselves_is_left_out(path: str) -> None:
    assert Excludes(PROFILES["configuration"].exclude).match(path)


def test_limits_are_checked() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"scan_every": 1.0}, Options)
