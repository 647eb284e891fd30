"""System accounts that a signed script makes, and those that it does not."""

import pytest

from analysis.integrity.accounts_by_script import account_product

ROOT = b"root:x:0:0:root:/root:/bin/bash\n"
SSHD = b"sshd:x:103:65534::/run/sshd:/usr/sbin/nologin\n"
SCRIPTS = [("openssh-server", "adduser --system --no-create-home sshd || true\ndeluser sshd\n")]


def test_a_locked_system_account_that_the_script_names_is_its_product_coming_and_going() -> None:
    assert account_product(b"/etc/passwd", ROOT, ROOT + SSHD, SCRIPTS) == ["sshd"]
    assert account_product(b"/etc/passwd", ROOT + SSHD, ROOT, SCRIPTS) == ["sshd"]
    assert account_product(b"/etc/shadow", b"", b"sshd:!:19000::::::\n", SCRIPTS) == ["sshd"]
    assert account_product(b"/etc/group", b"_ssh:x:101:\n", b"_ssh:x:101:\nsshd:x:102:\n", SCRIPTS) == ["sshd"]


@pytest.mark.parametrize(
    "new",
    [
        ROOT + b"eve:x:104:65534::/:/usr/sbin/nologin\n",
        ROOT + SSHD.replace(b":103:", b":0:"),
        ROOT + SSHD.replace(b"/usr/sbin/nologin", b"/bin/sh"),
        ROOT + SSHD.replace(b":x:", b"::"),
        ROOT.replace(b"/bin/bash", b"/bin/sh") + SSHD,
        ROOT + SSHD + SSHD,
        SSHD,
        b"broken\n" + ROOT,
    ],
)
def test_anything_else_in_the_file_is_not(new: bytes) -> None:
    assert account_product(b"/etc/passwd", ROOT, new, SCRIPTS) == []


def test_a_password_or_a_member_that_nobody_names_is_not() -> None:
    assert account_product(b"/etc/shadow", b"", b"sshd:$6$a$b:1::::::\n", SCRIPTS) == []
    assert account_product(b"/etc/group", b"sudo:x:27:\n", b"sudo:x:27:eve\n", SCRIPTS) == []


def test_a_name_without_a_tool_that_makes_accounts_does_not_count() -> None:
    assert account_product(b"/etc/passwd", ROOT, ROOT + SSHD, [("x", "echo sshd")]) == []
