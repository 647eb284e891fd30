"""What pip's RECORD and npm's lock say."""

import base64
import hashlib
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from analysis.integrity.records import locked_packages, record_digests, recorded
from contracts.provenance import Level
from tests.analysis.integrity.known import Known, change, node

SITE = b"/opt/app/lib/python3.11/site-packages/"
FILE = 0o100644


def _line(name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"{name},sha256={digest},{len(content)}\n"


def _known() -> Known:
    known = Known()
    record = _line("tool/a.py", b"a") + "tool-1.2.dist-info/RECORD,,\n"
    known.has(SITE + b"tool-1.2.dist-info/RECORD", record.encode(), mode=FILE)
    known.nodes[SITE + b"tool-1.2.dist-info"] = node(mode=0o040755)
    return known


def test_a_file_as_recorded_is_so_and_another_content_contradicts() -> None:
    found = recorded(change(SITE + b"tool/a.py", node(b"a", mode=FILE)), _known())
    assert found is not None and (found.level, found.package, found.version) == (Level.RECORDED, "tool", "1.2")
    other = recorded(change(SITE + b"tool/a.py", node(b"evil", mode=FILE)), _known())
    assert other is not None and other.contradicts


def test_what_no_record_names_is_not_accounted_for() -> None:
    assert recorded(change(SITE + b"tool/new.py", node(b"a", mode=FILE)), _known()) is None
    assert recorded(change(b"/srv/tool/a.py", node(b"a", mode=FILE)), _known()) is None


def test_the_records_of_real_packages_hold() -> None:
    import msgspec

    site = Path(msgspec.__file__).parents[1]
    (record,) = site.glob("msgspec-*.dist-info/RECORD")
    told = dict(record_digests(record.read_bytes()))
    assert len(told) > 5
    for name, digest in told.items():
        assert hashlib.sha256((site / name.decode()).read_bytes()).digest() == digest


def test_a_lock_of_npm_names_versions_and_tarballs() -> None:
    lock = b'{"packages": {"": {"version": "1"}, "node_modules/a": {"version": "2.0", "integrity": "sha512-x"}}}'
    assert locked_packages(lock) == {"node_modules/a": ("2.0", "sha512-x")}
    assert locked_packages(b"{") == locked_packages(b"[]") == {}


def test_a_file_of_npm_is_told_with_its_package_and_accounted_for_by_nothing() -> None:
    known = Known()
    lock = b'{"packages": {"node_modules/@a/b": {"version": "2.0"}, "node_modules/@a/b/node_modules/c": {"version": "3.1"}}}'
    known.has(b"/srv/app/node_modules/.package-lock.json", lock, mode=FILE)
    for path, package, version in (
        (b"/srv/app/node_modules/@a/b/index.js", "@a/b", "2.0"),
        (b"/srv/app/node_modules/@a/b/node_modules/c/lib/x.js", "c", "3.1"),
    ):
        found = recorded(change(path, node(b"x", mode=FILE)), known)
        assert found is not None and (found.level, found.package, found.version) == (Level.NONE, package, version)
    assert recorded(change(b"/srv/app/node_modules/other/x.js", node(b"x", mode=FILE)), known) is None


@given(st.binary(max_size=300))
@example(b'"\x80"')
def test_any_bytes_are_read(content: bytes) -> None:
    list(record_digests(content))
    locked_packages(content)
