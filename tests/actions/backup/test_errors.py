"""Errors carry the exit codes of restic's own table."""

from actions.backup.errors import Damaged, Locked, NoRepository, WrongPassword


def test_exit_codes_are_those_of_restic() -> None:
    assert {kind: kind.exit_code for kind in (NoRepository, Locked, WrongPassword, Damaged)} == {
        NoRepository: 10,
        Locked: 11,
        WrongPassword: 12,
        Damaged: 1,
    }


def test_only_a_lock_may_be_gone_later() -> None:
    assert not Locked("x").permanent
    assert WrongPassword("x").permanent


def test_damage_names_the_file() -> None:
    assert (
        str(Damaged("index/ab", "was cut", advice="fetch it from a copy")) == "index/ab: was cut; fetch it from a copy"
    )
