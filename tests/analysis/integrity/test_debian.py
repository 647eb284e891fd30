"""Debian's own texts: stanzas, Releases, sources, gpgv's words, logs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.debian import (
    apt_history,
    dpkg_log,
    good_signers,
    installed,
    list_name,
    md5_lines,
    release_files,
    sources,
    stanzas,
)

KEY = "A" * 40


def _valid(algorithm: str = "8") -> str:
    return f"[GNUPG:] VALIDSIG {'B' * 40} 2026-01-01 0 0 4 0 1 {algorithm} 01 {KEY}\n"


def test_a_good_signature_counts_by_its_primary_key() -> None:
    assert good_signers("[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG B x\n" + _valid()) == (KEY,)


@pytest.mark.parametrize(
    "status",
    [
        "[GNUPG:] NEWSIG\n[GNUPG:] EXPKEYSIG B x\n" + _valid(),
        "[GNUPG:] NEWSIG\n[GNUPG:] REVKEYSIG B x\n" + _valid(),
        "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG B x\n" + _valid("2"),
        "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG B x\n" + _valid() + "[GNUPG:] NEWSIG\n[GNUPG:] BADSIG B x\n",
        "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG B x\n[GNUPG:] NEWSIG\n" + _valid(),
        _valid(),
        "",
    ],
)
def test_expired_revoked_weak_and_bad_ones_do_not(status: str) -> None:
    assert good_signers(status) == ()


def test_sources_of_both_forms_are_read() -> None:
    found = sources(
        {
            "/etc/apt/sources.list": "deb http://user:pw@deb.example.org/debian/ stable main\n# deb x y\ndeb-src http://x y z\n"
            "deb [arch=amd64 signed-by=/k.gpg trusted=yes] file:/srv/repo ./\n",
            "x.sources": "Types: deb deb-src\nURIs: https://a.example/ubuntu\nSuites: noble noble-updates\nSigned-By: /u.gpg\n\n"
            "Types: deb\nEnabled: no\nURIs: https://b\nSuites: c\n",
        }
    )
    assert [(one.list_prefix, one.signed_by, one.local, one.trusted) for one in found] == [
        ("deb.example.org_debian_dists_stable_", "", False, False),
        ("_srv_repo_._", "/k.gpg", True, True),
        ("a.example_ubuntu_dists_noble_", "/u.gpg", False, False),
        ("a.example_ubuntu_dists_noble-updates_", "/u.gpg", False, False),
    ]


def test_a_list_is_named_as_apt_names_it() -> None:
    assert list_name("http://deb.example.org/debian/dists/bookworm/") == "deb.example.org_debian_dists_bookworm_"
    assert list_name("http://h:80/a_b~c/") == "h:80_a%5fb%7ec_"


def test_a_release_names_files_under_sha256_alone() -> None:
    text = f"MD5Sum:\n {'0' * 32} 1 a\nSHA256:\n {'1' * 64} 12 main/Packages\n x 3 bad\nDate: x\n"
    assert list(release_files(text)) == ["main/Packages"] and release_files(text)["main/Packages"].size == 12


def test_the_status_says_what_is_installed_and_its_configuration() -> None:
    text = (
        "Package: a\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\nVersion: 1\nConffiles:\n /etc/a 0cc175\n"
        " /etc/b 92eb obsolete\n\nPackage: gone\nStatus: deinstall ok not-installed\n\nPackage: broken\n"
    )
    (one,) = installed(text.splitlines(keepends=True))
    assert (one.key, one.state, one.configs) == ("a:amd64", "installed", (("/etc/a", "0cc175"), ("/etc/b", "92eb")))


def test_real_status_and_logs_of_this_machine_are_read() -> None:
    with open("/var/lib/dpkg/status", encoding="utf-8") as lines:
        assert any(one.name == "dpkg" and one.state == "installed" for one in installed(lines))


def test_runs_of_apt_tell_what_was_asked_for_first() -> None:
    text = (
        "Start-Date: 1\nCommandline: x\nInstall: b:amd64 (2, automatic), a:amd64 (1)\nUpgrade: c:all (1, 2)\nRemove: d:all (3)\n"
        "End-Date: 2\n\n"
        "Start-Date: 3\nPurge: e:all (4)\nReinstall: f:all (5)\nDowngrade: g:all (2, 1)\n"
    )
    one, two = apt_history(text, int)
    assert [(each.name, each.deed, each.before, each.after) for each in one.packages] == [
        ("a", "install", "", "1"),
        ("c", "upgrade", "1", "2"),
        ("d", "remove", "3", ""),
        ("b", "install", "", "2"),
    ]
    assert two.ended_ms == 0 and [each.deed for each in two.packages] == ["downgrade", "reinstall", "purge"]


def test_runs_of_apt_that_begin_in_the_same_second_are_told_apart() -> None:
    text = (
        "".join(f"Start-Date: 1\nInstall: {name}:all (1)\nEnd-Date: 1\n\n" for name in "abc")
        + "Start-Date: 2\nRemove: a:all (1)\n"
    )
    assert [one.id for one in apt_history(text, int)] == ["apt-1", "apt-1-1", "apt-1-2", "apt-2"]


def test_a_run_of_dpkg_begins_where_it_says_so() -> None:
    text = (
        "2026-01-01 00:00:01 startup archives unpack\n2026-01-01 00:00:01 install a:all <none> 1\n"
        "2026-01-01 00:00:02 startup archives unpack\n2026-01-01 00:00:02 upgrade b:all 1 2\n"
    )
    one, two = dpkg_log(text, lambda at: int(at[-2:]) * 1000)
    assert (one.packages[0].before, one.packages[0].after, two.packages[0].name) == ("", "1", "b")


def test_digests_of_a_list() -> None:
    assert list(md5_lines(b"0" * 32 + b"  usr/bin/a b\nbroken\n")) == [(b"/usr/bin/a b", "0" * 32)]


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    list(stanzas(text.splitlines()))
    release_files(text)
    sources({"a.list": text, "b.sources": text})
    good_signers(text)
    apt_history(text, lambda _: 0)
    dpkg_log(text, lambda _: 0)
    list(md5_lines(text.encode()))


def _ms(at: str) -> int:
    return int(at[-2:]) * 1000


def test_a_run_of_dpkg_says_what_it_left_midway_and_what_it_completed() -> None:
    day = "2026-01-01 00:00:"
    killed = f"{day}01 startup archives install\n{day}01 upgrade a:all 1 2\n{day}02 status half-installed a:all 1\n"
    done = f"{day}05 startup packages configure\n{day}05 configure a:all 2 <none>\n{day}06 status installed a:all 2\n"
    idle = f"{day}07 startup packages configure\n"
    one, two = dpkg_log(killed + done + idle, _ms)
    assert (one.unfinished, one.ended_ms) == ("a was left half-installed", 2000)
    assert (two.unfinished, [(each.name, each.deed, each.after) for each in two.packages]) == (
        "",
        [("a", "configure", "2")],
    )


def test_runs_of_dpkg_that_begin_in_the_same_second_are_told_apart() -> None:
    at = "2026-01-01 00:00:01"
    runs = dpkg_log(
        "".join(f"{at} startup archives install\n{at} install {name}:all <none> 1\n" for name in "abc"), _ms
    )
    assert len({run.id for run in runs}) == 3


def test_what_apt_says_of_an_error_is_kept() -> None:
    (run,) = apt_history("Start-Date: 1\nInstall: a:all (1)\nError: dpkg exited unexpectedly\nEnd-Date: 2\n", int)
    assert run.unfinished == "dpkg exited unexpectedly"
