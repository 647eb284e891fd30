"""What this machine is."""

import os

import pytest

from host.facts import facts, os_name


def test_this_machine_is_described() -> None:
    found = facts()
    assert found.hostname == os.uname().nodename
    assert len(found.boot_id) == 32
    assert found.cpus >= 1
    assert found.memory_bytes > 1 << 20


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ('NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n', "Debian GNU/Linux 12 (bookworm)"),
        ("NAME=Alpine\n", "Alpine"),
        ("", "Linux"),
    ],
)
def test_the_system_is_named_as_it_names_itself(release: str, name: str) -> None:
    assert os_name(release) == name
