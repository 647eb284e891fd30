"""What accounts for a change: byte for byte what a signed archive ships, and nothing less."""

import hashlib

import msgspec
import pytest

from analysis.integrity.provenance import judge
from contracts.file_change import MODE, SETUID
from contracts.provenance import Level, Listing, PackageChange
from tests.analysis.integrity.known import RUN, Known, change, node

PATH = b"/usr/bin/tool"


def test_what_a_signed_archive_ships_is_signed_and_belongs_to_its_run() -> None:
    known = Known()
    known.ships(PATH, b"new")
    found = judge(change(PATH, node(b"new"), node(b"old")), known)
    assert (found.level, found.transaction, found.package, found.version) == (Level.SIGNED, "apt-1", "tool", "1.0-2")


def test_any_other_content_contradicts_the_package_whatever_its_own_list_says() -> None:
    known = Known()
    known.ships(PATH, b"new")
    known.has(PATH, b"trojan")
    known.lists[PATH] = [Listing("tool", hashlib.md5(b"trojan").hexdigest())]
    found = judge(change(PATH, node(b"trojan"), node(b"old")), known)
    assert found.level is Level.NONE and found.contradicts


def test_an_archive_that_nobody_signed_proves_nothing() -> None:
    known = Known()
    known.ships(PATH, b"new", signed_by="")
    assert judge(change(PATH, node(b"new")), known).level is Level.NONE


def test_an_old_version_put_back_is_no_part_of_the_installed_one() -> None:
    known = Known()
    known.ships(PATH, b"new")
    known.ships(PATH, b"vulnerable", version="1.0-1", installed=False)
    found = judge(change(PATH, node(b"vulnerable"), node(b"new")), known)
    assert found.contradicts and "1.0-1 shipped, which is not installed" in found.basis


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"mode": 0o104755}, "mode 4755 where it ships 0755"),
        ({"uid": 1000}, "owned by 1000:0"),
        ({"capabilities": b"\x01"}, "file capabilities"),
    ],
)
def test_other_rights_than_the_shipped_ones_stand_out(fields: dict, says: str) -> None:
    known = Known()
    known.ships(PATH, b"new")
    after = node(b"new", **{"mode": 0o100755, **fields})
    found = judge(change(PATH, after, node(b"old")), known)
    assert found.level is Level.NONE and found.contradicts and says in found.basis


def test_rights_that_nobody_changed_now_are_the_administrators() -> None:
    known = Known()
    known.ships(PATH, b"new")
    found = judge(change(PATH, node(b"new", mode=0o100700), node(b"old", mode=0o100700)), known)
    assert found.level is Level.SIGNED


def test_rights_that_the_signed_script_sets_are_its_own() -> None:
    known = Known()
    known.ships(b"/bin/tool", b"new")
    known.shipments[PATH] = known.shipments[b"/bin/tool"]
    known.texts["tool"] = "setcap cap_net_raw+ep /bin/tool"
    found = judge(change(PATH, node(b"new", capabilities=b"\x01")), known)
    assert found.level is Level.SIGNED and "as its signed script sets it" in found.basis


def test_with_the_list_alone_it_is_listed_and_unproved() -> None:
    known = Known()
    known.has(PATH, b"new")
    known.lists[PATH] = [Listing("tool", hashlib.md5(b"new").hexdigest())]
    found = judge(change(PATH, node(b"new"), node(b"old")), known)
    assert (found.level, found.transaction) == (Level.LISTED, "apt-1") and "nobody signed" in found.basis
    other = Known()
    other.has(PATH, b"trojan")
    other.lists[PATH] = known.lists[PATH]
    assert judge(change(PATH, node(b"trojan"), node(b"old")), other).contradicts


def test_a_set_uid_file_is_never_accounted_for_by_a_list() -> None:
    known = Known()
    known.has(PATH, b"new")
    known.lists[PATH] = [Listing("tool", hashlib.md5(b"new").hexdigest())]
    found = judge(change(PATH, node(b"new", mode=0o104755), node(b"new"), SETUID), known)
    assert found.level is Level.NONE


def test_a_configuration_file_that_is_not_as_shipped_is_no_contradiction() -> None:
    known = Known()
    path = b"/etc/tool.conf"
    known.ships(path, b"shipped", mode=0o100644)
    known.has(path, b"mine", mode=0o100644)
    known.lists[path] = [Listing("tool", hashlib.md5(b"shipped").hexdigest(), config=True)]
    found = judge(change(path, node(b"mine", mode=0o100644), node(b"shipped", mode=0o100644)), known)
    assert found.level is Level.NONE and not found.contradicts and "configuration file" in found.basis


def test_a_deletion_is_accounted_for_when_the_run_took_the_name_from_its_package() -> None:
    known = Known()
    known.before[PATH] = ["tool"]
    found = judge(change(PATH, None, node(b"old")), known)
    assert (found.level, found.transaction, found.basis) == (Level.REMOVED, "apt-1", "tool no longer ships it")


def test_a_deletion_of_what_an_installed_package_ships_contradicts_it() -> None:
    known = Known()
    known.before[PATH] = ["tool"]
    known.ships(PATH, b"x")
    assert judge(change(PATH, None, node(b"x")), known).contradicts
    known.before[PATH] = ["other"]
    assert judge(change(PATH, None, node(b"x")), known).contradicts


def test_a_file_that_could_not_be_read_is_accounted_for_by_nothing() -> None:
    import msgspec

    known = Known()
    known.ships(PATH, b"new")
    after = msgspec.structs.replace(node(b"new"), content=b"", flaw="permission denied")
    found = judge(change(PATH, after, node(b"old")), known)
    assert found.level is Level.NONE and "could not be read" in found.basis


def test_what_nothing_knows_is_said_so() -> None:
    assert judge(change(b"/usr/local/x", node(b"x")), Known()).basis == "no package ships it, lists it or makes it"


def test_a_folders_mode_that_changed_is_not_accounted_for_by_its_name() -> None:
    known = Known()
    known.lists[b"/usr/lib/x"] = [Listing("tool")]
    folder = node(mode=0o040755)
    assert judge(change(b"/usr/lib/x", folder), known).level is Level.LISTED
    assert judge(change(b"/usr/lib/x", node(mode=0o040777), folder, MODE), known).level is Level.NONE


def test_a_program_replaced_by_a_link_to_an_alternative_contradicts_its_package() -> None:
    known = Known()
    known.ships(b"/usr/sbin/auditd", b"a")
    known.ships(b"/usr/bin/true", b"t")
    known.has(b"/var/lib/dpkg/alternatives/x", b"auto\n/usr/sbin/auditd\n\n/usr/bin/true\n1\n\n", mode=0o100644)
    known.nodes[b"/etc/alternatives/x"] = node(mode=0o120777, target=b"/usr/bin/true")
    link = node(mode=0o120777, target=b"/etc/alternatives/x")
    assert judge(change(b"/usr/sbin/auditd", link, node(b"a")), known).contradicts


def test_a_configuration_file_that_a_removed_package_leaves_is_its_own_also_when_its_script_took_a_mode_away() -> None:
    removed = PackageChange(name="tool", deed="remove", before="1.0-2")
    known = Known(msgspec.structs.replace(RUN, packages=(removed,)))
    known.ships(b"/etc/init.d/tool", b"init", installed=False)
    known.lists[b"/etc/init.d/tool"] = [Listing("tool", "0" * 32, "md5", config=True)]
    left = change(b"/etc/init.d/tool", node(b"init", mode=0o100644), node(b"init"), MODE)
    assert judge(left, known).level is not Level.SIGNED, "no script says so"
    known.texts["tool"] = "chmod -x /etc/init.d/tool\n"
    assert judge(left, known).level is Level.SIGNED
    other = change(b"/etc/init.d/tool", node(b"evil"), node(b"init"))
    assert judge(other, known).level is not Level.SIGNED
