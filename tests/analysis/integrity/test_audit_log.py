"""The audit log names who did what to which file; what it does not say is not made up."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.audit_log import deeds

LOG = b"""type=SYSCALL msg=audit(1700000000.123:7): arch=c000003e syscall=257 success=yes exit=3 ppid=1 pid=123 auid=1000 uid=0 \
comm="vim" exe="/usr/bin/vim" key="etc"\x1dARCH=x86_64 SYSCALL=openat AUID="anna" UID="root"
type=CWD msg=audit(1700000000.123:7): cwd="/root"
type=PATH msg=audit(1700000000.123:7): item=0 name="/etc/" inode=2 nametype=PARENT
type=PATH msg=audit(1700000000.123:7): item=1 name="/etc/passwd" inode=3 nametype=NORMAL
type=PROCTITLE msg=audit(1700000000.123:7): proctitle=76696D
type=SYSCALL msg=audit(1700000001.5:8): success=yes pid=9 auid=4294967295 uid=33 comm=6120622E63 exe="/usr/bin/x"
type=CWD msg=audit(1700000001.5:8): cwd="/var/www"
type=PATH msg=audit(1700000001.5:8): item=0 name=612062FF nametype=CREATE
type=SYSCALL msg=audit(1700000002.000:9): success=no pid=9 auid=5 uid=5 comm="x" exe="/x"
type=PATH msg=audit(1700000002.000:9): item=0 name="/etc/shadow" nametype=NORMAL
"""


def test_who_is_read_with_names_where_the_log_has_them() -> None:
    first, second = deeds(LOG, {"33": "www-data"})
    assert (first.at_ms, first.paths) == (1_700_000_000_123, (b"/etc/passwd",))
    assert (first.author.process, first.author.command, first.author.pid) == ("vim", "/usr/bin/vim", 123)
    assert (first.author.user, first.author.login) == ("root", "anna")
    assert second.paths == (b"/var/www/a b\xff",)
    assert (second.author.process, second.author.user, second.author.login) == ("a b.c", "www-data", "")


def test_a_call_that_failed_did_nothing() -> None:
    assert all(b"/etc/shadow" not in deed.paths for deed in deeds(LOG, {}))


@given(st.binary(max_size=2000))
def test_any_log_can_be_read(log: bytes) -> None:
    deeds(log, {})
    deeds(b"type=SYSCALL msg=audit(1.1:1): " + log + b"\ntype=PATH msg=audit(1.1:1): " + log, {})
