"""Versions stand in the order in which rpm and dpkg put them, as those say themselves."""

import random
import subprocess

import pytest

from analysis.integrity.versions import is_older_dpkg, is_older_rpm


def _pairs(letters: str, count: int) -> list[tuple[str, str]]:
    chance = random.Random(7)

    def version() -> str:
        text = "".join(chance.choice(letters) for _ in range(chance.randint(0, 7)))
        return f"{chance.choice(['', '1:'])}1{text}{chance.choice(['', '-1', '-2~b', '-10'])}"

    return [(version(), version()) for _ in range(count)]


def test_rpm_agrees() -> None:
    pairs = _pairs("0019ab.~^", 300)
    rows = "".join(f'print(rpm.vercmp("{one}", "{other}"))' for one, other in pairs)
    done = subprocess.run(["rpm", "--eval", f"%{{lua:{rows}}}"], capture_output=True, text=True, check=True)
    said = done.stdout.replace("-1", "<").strip()
    assert [char == "<" for char in said] == [is_older_rpm(*pair) for pair in pairs]


def test_dpkg_agrees() -> None:
    for one, other in _pairs("0019ab.~+", 100):
        done = subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=False)
        assert (done.returncode == 0) is is_older_dpkg(one, other), (one, other)


@pytest.mark.parametrize("is_older", [is_older_rpm, is_older_dpkg])
def test_numbers_of_any_length_are_compared(is_older) -> None:
    assert is_older("1" * 5000, "1" * 5001) and not is_older("1" * 5001, "1" * 5000)
    assert is_older("1.9", "1.10") and is_older("1~rc1", "1") and is_older("9", "1:1") and not is_older("1.0", "1.0")
