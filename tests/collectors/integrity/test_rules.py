"""Each path is watched as the nearest entry above it says, and what cannot be watched is named."""

import os
from pathlib import Path

from collectors.integrity.options import PROFILES, Options, Watched, watched
from collectors.integrity.rules import Rules
from contracts.file_change import CREATED, MODE, MODIFIED, OWNER
from host.files import LinuxFiles


def rules(**entries: Watched) -> Rules:
    return Rules(entries, LinuxFiles())


def test_the_nearest_entry_counts() -> None:
    made = rules(all=Watched(paths=("/etc",)), keys=Watched(paths=("/etc/ssh",)))
    assert [made.rule(path).name for path in (b"/etc/passwd", b"/etc/ssh/x", b"/etc/ssh")] == ["all", "keys", "keys"]  # type: ignore[union-attr]
    assert made.rule(b"/usr/bin") is None
    above = made.above(b"/etc/ssh")
    assert above is not None and above.name == "all"
    assert made.tops == (b"/etc",) and made.stops == {b"/etc", b"/etc/ssh"}


def test_an_entry_below_what_another_one_leaves_out_is_a_root_of_its_own() -> None:
    made = rules(all=Watched(paths=("/etc",), exclude=("/etc/ssl",)), keys=Watched(paths=("/etc/ssl/private",)))
    assert made.tops == (b"/etc", b"/etc/ssl/private")


def test_patterns_stand_for_what_is_there(tmp_path: Path) -> None:
    for name in ("anna/.ssh", "bert/.ssh", ".hidden/.ssh"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").touch()
    made = rules(keys=Watched(paths=(f"{tmp_path}/*/.ssh", "relative")))
    assert set(made.by_root) == {os.fsencode(tmp_path / name) for name in ("anna/.ssh", "bert/.ssh")}
    assert made.missing == ["keys: relative is not a path from the root"]


def test_only_what_is_asked_for_counts() -> None:
    made = rules(logs=Watched(paths=("/var/log",), aspects=("mode", "owner")))
    rule = made.by_root[b"/var/log"]
    assert rule.counting((MODIFIED, MODE, OWNER)) == (MODE, OWNER)
    assert rule.counting((MODIFIED,)) == () and rule.counting((CREATED,)) == (CREATED,)
    assert rule.plan(frozenset()).hash_name == ""


def test_no_file_is_shown_that_is_larger_than_any_entry_says() -> None:
    assert rules(one=Watched(paths=("/etc",), diff_below=7), two=Watched(paths=("/usr",))).shown_below == 7
    assert rules(two=Watched(paths=("/usr",))).shown_below == 0


def test_secrets_and_large_files_are_not_shown() -> None:
    rule = Rules({"c": PROFILES["configuration"]}, LinuxFiles()).by_root[b"/etc"]
    assert rule.shows(b"/etc/ssh/sshd_config", 0o100644, 100)
    for secret in (
        b"/etc/shadow",
        b"/etc/gshadow-",
        b"/etc/ssl/private/x",
        b"/etc/ssh/ssh_host_rsa_key",
        b"/etc/x.key",
    ):
        assert not rule.shows(secret, 0o100644, 100), secret
    assert not rule.shows(b"/etc/big", 0o100644, 1 << 20)
    assert not rule.shows(b"/etc/link", 0o120777, 10)


def test_the_profiles_are_valid_and_an_own_entry_replaces_one() -> None:
    made = Rules(PROFILES, LinuxFiles())
    assert made.missing == []
    chosen = watched(Options(watch={"keys": Watched(paths=("/x",)), "more": Watched(paths=("/y",))}))
    assert chosen["keys"].paths == ("/x",) and set(chosen) == {"binaries", "configuration", "keys", "more"}
