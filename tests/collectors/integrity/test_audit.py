"""Who made a change is asked of the audit log; where it does not say, that is said."""

from pathlib import Path

from collectors.integrity.audit import NOT_KEPT, NOT_NAMED, Audit
from contracts.file_change import CREATED, Change
from host.linux import LinuxHost

RECORDS = """type=SYSCALL msg=audit({at}.000:7): success=yes pid=12 auid=0 uid=0 comm="vim" exe="/usr/bin/vim"
type=PATH msg=audit({at}.000:7): item=0 name="/etc/x" nametype=NORMAL
"""


def changes(*paths: bytes) -> list[Change]:
    return [Change(path=path, kinds=(CREATED,)) for path in paths]


def test_the_newest_deed_on_a_name_tells_who(tmp_path: Path) -> None:
    host = LinuxHost()
    log = tmp_path / "audit.log"
    log.write_text(RECORDS.format(at=int(host.now().timestamp())))
    known, unknown = Audit(str(log), host).authors(changes(b"/etc/x", b"/etc/y"))
    assert (known.process, known.user, known.login, known.pid) == ("vim", "root", "root", 12)
    assert unknown.unknown == NOT_NAMED and unknown.process == ""


def test_a_deed_of_long_ago_did_not_make_a_change_of_now(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(RECORDS.format(at=1_700_000_000))
    assert Audit(str(log), LinuxHost()).authors(changes(b"/etc/x"))[0].unknown == NOT_NAMED


def test_no_log_is_said(tmp_path: Path) -> None:
    assert Audit(str(tmp_path / "none"), LinuxHost()).authors(changes(b"/x", b"/y"))[1].unknown == NOT_KEPT
