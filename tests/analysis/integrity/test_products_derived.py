"""Products that are made again or checked entry by entry."""

import importlib.util
import marshal
import struct
import subprocess
from pathlib import Path

import pytest

from analysis.integrity.products import product
from analysis.integrity.products_derived import cached_libraries, resolved
from contracts.provenance import Level, PackageChange, Transaction
from tests.analysis.integrity.known import Known, change, node

LINK, FILE = 0o120777, 0o100644


def _level(found) -> Level | None:
    return found.level if found is not None else None


def test_a_linker_cache_names_the_libraries_that_ldconfig_prints() -> None:
    content = Path("/etc/ld.so.cache").read_bytes()
    told = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    printed = {line.split(" => ")[1].strip().encode() for line in told.splitlines() if " => " in line}
    assert set(cached_libraries(content)) == printed and len(printed) > 50
    with pytest.raises(ValueError, match="no cache"):
        list(cached_libraries(b"x"))


def test_a_linker_cache_follows_only_when_packages_hold_every_library() -> None:
    paths = [b"/lib/x/liba.so.1", b"/opt/evil/libb.so"]
    strings = b"\0".join(paths) + b"\0"
    start = 48 + 24 * len(paths)
    entries = b"".join(struct.pack("<iIIIQ", 1, start, start + strings.index(path), 0, 0) for path in paths)
    content = b"glibc-ld.so.cache1.1" + struct.pack("<II", len(paths), len(strings)) + b"\0" * 20 + entries + strings
    known = Known()
    known.has(b"/etc/ld.so.cache", content, mode=FILE)
    known.has(b"/usr/lib/x/liba.so.1", b"a", mode=FILE)
    known.has(b"/opt/evil/libb.so", b"b", mode=FILE)
    known.ships(b"/usr/lib/x/liba.so.1", b"a", mode=FILE)
    changed = change(b"/etc/ld.so.cache", node(content, mode=FILE), node(b"", mode=FILE))
    assert _level(product(changed, known)) is Level.PRODUCT
    known.ships(b"/opt/evil/libb.so", b"b", mode=FILE)
    assert _level(product(changed, known)) is Level.DERIVED


def test_an_alternative_leads_to_what_a_package_holds() -> None:
    known = Known()
    known.ships(b"/usr/bin/vim.tiny", b"v")
    known.has(b"/var/lib/dpkg/alternatives/vi", b"auto\n/usr/bin/vi\n\n/usr/bin/vim.tiny\n15\n\n", mode=FILE)
    good = change(b"/etc/alternatives/vi", node(mode=LINK, target=b"/usr/bin/vim.tiny"))
    assert _level(product(good, known)) is Level.DERIVED
    assert product(change(b"/etc/alternatives/vi", node(mode=LINK, target=b"/tmp/vi")), known) is None
    known.nodes[b"/etc/alternatives/vi"] = node(mode=LINK, target=b"/usr/bin/vim.tiny")
    assert (
        _level(product(change(b"/usr/bin/vi", node(mode=LINK, target=b"/etc/alternatives/vi")), known)) is Level.DERIVED
    )


def test_a_name_that_no_admin_file_offers_is_no_alternative() -> None:
    known = Known()
    known.ships(b"/usr/bin/true", b"t")
    known.nodes[b"/etc/alternatives/x"] = node(mode=LINK, target=b"/usr/bin/true")
    assert product(change(b"/etc/alternatives/x", known.nodes[b"/etc/alternatives/x"]), known) is None
    assert product(change(b"/usr/sbin/auditd", node(mode=LINK, target=b"/etc/alternatives/x")), known) is None


def test_the_choices_of_an_alternative_are_packages_files() -> None:
    known = Known()
    text = b"auto\n/usr/bin/vi\n\n/usr/bin/vim.tiny\n15\n\n"
    path = b"/var/lib/dpkg/alternatives/vi"
    known.ships(b"/usr/bin/vim.tiny", b"v")
    known.has(path, text, mode=FILE)
    assert _level(product(change(path, node(text, mode=FILE)), known)) is Level.DERIVED
    known.has(path, text.replace(b"vim.tiny", b"evil"), mode=FILE)
    assert product(change(path, node(text, mode=FILE)), known) is None


def test_a_unit_is_enabled_where_it_asks_to_be_and_nowhere_else() -> None:
    known = Known()
    unit = b"/usr/lib/systemd/system/tool.service"
    text = b"[Install]\nWantedBy=multi-user.target\n"
    known.ships(unit, text, mode=FILE)
    known.has(unit, text, mode=FILE)
    link = node(mode=LINK, target=b"/lib/systemd/system/tool.service")
    good = change(b"/etc/systemd/system/multi-user.target.wants/tool.service", link)
    assert _level(product(good, known)) is Level.DERIVED
    known.has(unit, text + b"#", mode=FILE)  # a unit that is not as shipped proves nothing
    assert _level(product(good, known)) is not Level.DERIVED
    known.has(unit, text, mode=FILE)
    bad = change(b"/etc/systemd/system/sysinit.target.wants/tool.service", link)
    assert _level(product(bad, known)) is not Level.DERIVED


def test_compiled_python_is_made_again_from_its_signed_source() -> None:
    known = Known()
    source, path = b"/usr/lib/python3/x.py", b"/usr/lib/python3/__pycache__/x.cpython-311.pyc"
    known.ships(source, b"a = 1\n", mode=FILE)
    known.has(source, b"a = 1\n", mode=FILE)
    head = importlib.util.MAGIC_NUMBER + b"\0" * 12
    honest = head + marshal.dumps(compile("a = 1\n", source.decode(), "exec"))
    known.has(path, honest, mode=FILE)
    assert _level(product(change(path, node(honest, mode=FILE)), known)) is Level.DERIVED
    evil = head + marshal.dumps(compile("import os\n", source.decode(), "exec"))
    known.has(path, evil, mode=FILE)
    assert product(change(path, node(evil, mode=FILE)), known) is None


def test_dpkgs_list_of_a_package_has_only_what_its_archive_has() -> None:
    known = Known()
    path = b"/var/lib/dpkg/info/tool.list"
    known.ships(b"/usr/bin/tool", b"x")
    known.ships(path, b"other order", mode=FILE)
    text = b"/.\n/usr/bin/tool\n"
    known.has(path, text, mode=FILE)
    assert _level(product(change(path, node(text, mode=FILE)), known)) is Level.DERIVED
    known.has(path, text + b"/usr/bin/evil\n", mode=FILE)
    assert product(change(path, node(text, mode=FILE)), known) is None


def test_a_package_whose_archive_is_not_known_has_its_files_in_info_unproved() -> None:
    path = b"/var/lib/dpkg/info/tool.postinst"
    assert _level(product(change(path, node(b"x")), Known())) is Level.LISTED
    other = Transaction(
        id="r",
        tool="apt",
        started_ms=1000,
        ended_ms=2000,
        packages=(PackageChange(name="else", deed="install", after="1"),),
    )
    assert product(change(path, node(b"x")), Known(other)) is None


def test_the_bundle_of_certificates_holds_only_those_of_signed_packages() -> None:
    known = Known()
    pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    where = b"/usr/share/ca-certificates/mozilla/A.crt"
    known.ships(where, pem, mode=FILE, package="ca-certificates")
    known.has(where, pem, mode=FILE)
    known.nodes[b"/etc/ssl/certs/A.pem"] = node(mode=LINK, target=where)
    path = b"/etc/ssl/certs/ca-certificates.crt"
    known.has(path, pem, mode=FILE)
    assert _level(product(change(path, node(pem, mode=FILE)), known)) is Level.DERIVED
    known.has(path, pem + pem.replace(b"AAAA", b"EVIL"), mode=FILE)
    assert product(change(path, node(pem, mode=FILE)), known) is None


def test_a_link_is_resolved_by_its_words() -> None:
    assert resolved(b"/etc/rc2.d/S01x", b"../init.d/x") == b"/etc/init.d/x"
    assert resolved(b"/etc/a", b"/lib/x") == b"/usr/lib/x"
    assert resolved(b"/etc/a", b"../../../x") == b"/x"
