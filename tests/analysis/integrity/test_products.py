"""Products of maintainer scripts: only within a run's time, only by their names, never anything that runs."""

import msgspec
import pytest

from analysis.integrity.products import product
from contracts.file_change import SETUID
from contracts.provenance import Level, PackageChange
from tests.analysis.integrity.known import AT_NS, RUN, Known, change, node

FILE = 0o100644
OTHER = PackageChange(name="other", deed="install", after="1")


def test_a_name_that_the_tools_write_is_a_product_of_the_run() -> None:
    found = product(change(b"/var/lib/dpkg/status", node(b"x", mode=FILE), node(b"y", mode=FILE)), Known())
    assert found is not None and (found.level, found.transaction) == (Level.PRODUCT, "apt-1")


@pytest.mark.parametrize("at_ns", [AT_NS - 120 * 10**9, AT_NS + 120 * 10**9])
def test_outside_of_the_runs_time_it_is_none(at_ns: int) -> None:
    late = node(b"x", mode=FILE, ctime_ns=at_ns)
    assert product(change(b"/var/lib/dpkg/status", late), Known()) is None


@pytest.mark.parametrize(
    "path", [b"/usr/lib/sysimage/rpm/rpmdb.sqlite-wal", b"/var/lib/dnf/history.sqlite", b"/var/log/dnf.rpm.log"]
)
def test_what_rpm_and_dnf_keep_is_a_product_of_their_runs(path: bytes) -> None:
    found = product(change(path, node(b"x", mode=FILE)), Known())
    assert found is not None and found.level is Level.PRODUCT
    assert product(change(b"/usr/lib/sysimage/rpm/other", node(b"x", mode=FILE)), Known()) is None


@pytest.mark.parametrize(
    ("path", "mode", "kinds"),
    [
        (b"/var/cache/man/x", 0o100755, ()),
        (b"/var/cache/man/x", 0o104644, (SETUID,)),
        (b"/etc/ld.so.preload", FILE, ()),
        (b"/root/.ssh/authorized_keys", FILE, ()),
        (b"/etc/shadow", FILE, ()),
    ],
)
def test_what_runs_or_opens_doors_is_never_excused_by_a_name(path: bytes, mode: int, kinds: tuple[str, ...]) -> None:
    known = Known()
    known.texts["tool"] = f"touch {path.decode()}"
    assert product(change(path, node(b"x", mode=mode), None, *kinds), known) is None


def test_a_file_that_the_signed_script_names_is_its_product_and_a_longer_name_is_not() -> None:
    known = Known()
    known.texts["tool"] = "ssh-keygen -f /etc/tool/key\n"
    assert product(change(b"/etc/tool/key", node(b"x", mode=FILE)), known) is not None
    known.texts["tool"] = "ssh-keygen -f /etc/tool/key.d/other\n"
    assert product(change(b"/etc/tool/key", node(b"x", mode=FILE)), known) is None


def test_a_copy_below_etc_of_what_the_run_ships_is_derived_and_one_of_another_package_is_not() -> None:
    known = Known()
    known.ships(b"/usr/share/tool/conf", b"default", mode=FILE)
    found = product(change(b"/etc/tool.conf", node(b"default")), known)
    assert found is not None and found.level is Level.DERIVED
    assert product(change(b"/etc/tool.conf", node(b"default", mode=0o104755)), known) is None
    other = Known()
    other.ships(b"/usr/share/else/conf", b"default", mode=FILE, package="else")
    assert product(change(b"/etc/tool.conf", node(b"default", mode=FILE)), other) is None


def test_a_link_to_the_runs_own_file_is_its_product_and_any_other_is_not() -> None:
    known = Known()
    known.ships(b"/usr/share/tool/site", b"s", mode=FILE)
    link = node(mode=0o120777, target=b"../../usr/share/tool/site")
    assert product(change(b"/etc/tool/enabled", link), known) is not None
    assert product(change(b"/etc/tool/enabled", node(mode=0o120777, target=b"/tmp/x")), known) is None


@pytest.mark.parametrize("path", [b"/etc/sudoers.d/ops", b"/etc/pam.d/sshd", b"/etc/sudoers"])
def test_a_signed_example_copied_to_where_it_gives_something_away_is_none(path: bytes) -> None:
    known = Known()
    known.ships(b"/usr/share/doc/tool/examples/sudoers", b"%ops ALL=(ALL) ALL", mode=FILE)
    assert product(change(path, node(b"%ops ALL=(ALL) ALL", mode=FILE)), known) is None


def test_of_runs_that_follow_at_once_each_is_asked_what_it_wrote() -> None:
    known = Known(RUN, msgspec.structs.replace(RUN, id="apt-2", started_ms=2500, ended_ms=3000, packages=(OTHER,)))
    known.texts["tool"] = "ssh-keygen -f /etc/tool/key\n"
    at = 2900 * 1_000_000  # within a minute of the first, and in the midst of the second
    found = product(change(b"/etc/tool/key", node(b"x", mode=FILE, ctime_ns=at)), known)
    assert found is not None and found.transaction == "apt-1", "only its package's script names it"
    both = product(change(b"/var/lib/dpkg/status", node(b"x", mode=FILE, ctime_ns=at), node(b"y", mode=FILE)), known)
    assert both is not None and both.transaction == "apt-2", "the one in whose own time it was"


@pytest.mark.parametrize("suffix", [b".dpkg-new", b".dpkg-tmp"])
def test_what_dpkg_left_unpacked_is_its_product_only_of_a_run_that_died_and_only_while_it_cannot_run(
    suffix: bytes,
) -> None:
    died = msgspec.structs.replace(RUN, unfinished="killed")
    for run, mode, base, expected in (
        (died, 0o100000, b"/usr/share/tool/x", True),
        (died, 0o100755, b"/usr/share/tool/x", False),
        (died, 0o100000, b"/usr/share/other", False),
        (RUN, 0o100000, b"/usr/share/tool/x", False),
    ):
        known = Known(run)
        known.ships(b"/usr/share/tool/x", b"whole", mode=FILE)
        assert (product(change(base + suffix, node(b"part", mode=mode)), known) is not None) is expected
        assert product(change(base + suffix, None), known) is not None, "it went"
