"""The desk of rpm, over packages that rpm's own tools built, signed and installed: what is proved, and what an attacker cannot have."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.integrity.folding import fold, summary
from analysis.integrity.provenance import judge
from collectors.integrity.packages.kinds import transaction_event
from collectors.integrity.packages.present import Present
from collectors.integrity.packages.rpm_desk import RpmDesk
from contracts.event import Severity
from contracts.file_change import DELETED, Change
from contracts.provenance import Level
from host.linux import LinuxHost

TOOL = b"/usr/bin/hf-tool"
FILES = {"usr/bin/hf-tool": b"one\n", "etc/hf.conf": b"a=1\n", "var/lib/hf/state": b""}
LISTED = "%config(noreplace) /etc/hf.conf\n%ghost /var/lib/hf/state"


@pytest.fixture
def desk(rpms, tmp_path) -> Iterator[RpmDesk]:
    rpms.key_file()
    rpms.installed(files=FILES, listed=LISTED)
    opened = RpmDesk(LinuxHost(), tmp_path / "state", str(rpms.database))
    yield opened
    opened.close()


def _learn(desk: RpmDesk):
    learnt = desk.learn()
    desk.begin()
    desk.settle()
    return learnt


def test_what_a_signed_header_ships_is_proved_and_a_file_altered_afterwards_stands_out(rpms, desk) -> None:
    learnt = _learn(desk)
    assert (learnt.archives, learnt.signed, learnt.flaws, learnt.altered) == (1, 1, (), ())
    found = judge(rpms.change("/usr/bin/hf-tool"), desk)
    assert found.level is Level.SIGNED and found.version == "1.0-1", found
    (rpms.root / "usr/bin/hf-tool").write_bytes(b"two\n")
    found = judge(rpms.change("/usr/bin/hf-tool"), desk)
    assert found.contradicts and "ships something else" in found.basis, found


def test_a_digest_that_was_changed_in_the_database_fails_the_signature_and_counts_for_nothing(rpms, desk) -> None:
    trojan, genuine = hashlib.sha256(b"two\n").hexdigest(), hashlib.sha256(b"one\n").hexdigest()
    rpms.edit(lambda blob: blob.replace(genuine.encode(), trojan.encode()))
    (rpms.root / "usr/bin/hf-tool").write_bytes(b"two\n")
    learnt = _learn(desk)
    assert learnt.signed == 0 and [name for name, _ in learnt.altered] == ["hf-tool 1.0-1"]
    assert "not what its makers signed" in learnt.altered[0][1]
    assert desk.listed(TOOL) == [] and desk.shipped(TOOL) == []
    assert judge(rpms.change("/usr/bin/hf-tool"), desk).level is Level.NONE


def test_a_database_that_is_edited_later_is_compared_with_what_was_signed_before(rpms, desk) -> None:
    _learn(desk)
    trojan, genuine = hashlib.sha256(b"two\n").hexdigest(), hashlib.sha256(b"one\n").hexdigest()
    rpms.edit(lambda blob: blob.replace(genuine.encode(), trojan.encode()))
    (rpms.root / "usr/bin/hf-tool").write_bytes(b"two\n")
    learnt = desk.learn()
    desk.begin()
    assert len(learnt.altered) == 1 and desk.learn().altered == (), "told once"
    assert judge(rpms.change("/usr/bin/hf-tool"), desk).contradicts


def test_a_signature_that_is_taken_away_is_missed_though_there_is_nothing_to_verify(rpms, desk) -> None:
    _learn(desk)
    rpms.edit(lambda blob: blob.replace((268).to_bytes(4, "big") + b"\0\0\0\7", (269).to_bytes(4, "big") + b"\0\0\0\7"))
    ((name, why),) = desk.learn().altered
    assert name == "hf-tool 1.0-1" and "was signed when it was first seen" in why


def test_a_key_that_only_the_database_holds_proves_nothing(rpms, desk) -> None:
    for path in rpms.keys.iterdir():
        path.rename(rpms.folder / "key.asc")
    rpms.rpm("--import", str(rpms.folder / "key.asc"))
    learnt = _learn(desk)
    assert learnt.signed == 0 and "in no key file, only in rpm's own database" in learnt.flaws[0]
    assert desk.learn().flaws == () and desk.standing() == learnt.flaws, "it stands until it is proved"
    assert [one.signed_by for one in desk.shipped(TOOL)] == [""] and len(desk.listed(TOOL)) == 1
    (rpms.folder / "key.asc").rename(rpms.keys / "key.asc")
    assert desk.learn().signed == 1 and desk.standing() == (), "a key file came: looked at again"


def test_a_key_that_came_later_proves_nothing_until_it_is_accepted(rpms, desk) -> None:
    _learn(desk)
    key = rpms.key("Other <o@example.org>", "ed25519")
    rpms.key_file("o@example.org", "other")
    rpms.install(rpms.sign(rpms.build("1.1"), "o@example.org"))
    learnt = desk.learn()
    assert learnt.signed == 0 and learnt.flaws == (f"hf-tool 1.1-1 is signed by keys that came later: {key}",)
    assert desk.signers()[key] is False
    desk.trust([key], "ada")
    assert desk.learn().signed == 1 and desk.signers()[key] is True


def test_a_package_that_nobody_signed_is_named_and_only_listed(rpms, tmp_path: Path) -> None:
    rpms.install(rpms.build())
    desk = RpmDesk(LinuxHost(), tmp_path / "state", str(rpms.database))
    assert _learn(desk).flaws == ("hf-tool 1.0-1 is not signed",)
    desk.close()
    desk = RpmDesk(LinuxHost(), tmp_path / "state", str(rpms.database))
    assert _learn(desk).flaws == () and desk.standing() == ("hf-tool 1.0-1 is not signed",), "also for who begins later"
    assert [one.digest for one in desk.listed(TOOL)] == [hashlib.sha256(b"one\n").hexdigest()]
    rpms.rpm("-e", "--noscripts", "hf-tool")
    desk.learn()
    assert desk.standing() == (), "it is there no more"
    desk.close()


def test_an_upgrade_is_one_run_and_every_file_of_it_is_proved(rpms, desk) -> None:
    _learn(desk)
    before = rpms.node("/usr/bin/hf-tool")
    time.sleep(1.1)
    rpms.installed("1.1", files=FILES | {"usr/bin/hf-tool": b"two\n"}, listed=LISTED)
    assert desk.has_news()
    desk.learn()
    desk.begin()
    (run,) = desk.transactions
    ((folded,), rest) = fold([(each, judge(each, desk)) for each in [rpms.change("/usr/bin/hf-tool", before)]], [run])
    assert (summary(run), run.tool, folded.proved, rest) == ("hf-tool 1.0-1 -> 1.1-1", "rpm", True, [])
    desk.settle()
    desk.begin()
    assert not desk.has_news() and [(each.id, each.told) for each in desk.transactions] == [(run.id, True)]
    (rpms.root / "usr/bin/hf-tool").write_bytes(b"one\n")
    assert "1.0-1 shipped, which is not installed" in judge(rpms.change("/usr/bin/hf-tool"), desk).basis


def test_what_a_removed_package_held_is_accounted_for_and_its_ghosts_too(rpms, desk) -> None:
    _learn(desk)
    nodes = {path: rpms.node(path) for path in ("/usr/bin/hf-tool",)}
    assert desk.former(b"/var/lib/hf/state") == [], "a ghost that goes while its package stays is not accounted for"
    rpms.rpm("-e", "--noscripts", "hf-tool")
    desk.begin()
    (run,) = desk.transactions
    assert summary(run) == "hf-tool 1.0-1 removed" and desk.former(b"/var/lib/hf/state") == ["hf-tool"]
    gone = Change(path=TOOL, kinds=(DELETED,), before=nodes["/usr/bin/hf-tool"])
    assert judge(gone, desk).level is Level.REMOVED
    desk.settle()
    desk.begin()
    assert not desk.has_news() and desk.former(TOOL) == []


def test_dnf_says_who_and_by_which_command(rpms, desk) -> None:
    _learn(desk)
    time.sleep(1.1)
    began = int(time.time())
    rpms.installed("1.1")
    rpms.dnf(began, int(time.time()) + 1, "hf-tool", user=1, command="upgrade hf-tool")
    desk.begin()
    (run,) = desk.transactions
    assert (run.tool, run.command, run.who, run.unfinished) == ("dnf", "upgrade hf-tool", "daemon (1)", "")
    desk.settle()
    rpms.rpm("-e", "--noscripts", "hf-tool")
    rpms.dnf(int(time.time()), None, "hf-tool", user=0xFFFFFFFF, command="remove hf-tool")
    desk.begin()
    run = desk.transactions[-1]
    assert (run.tool, run.who, run.packages[0].deed) == ("dnf", "", "remove") and "no end" in run.unfinished


def test_a_run_under_way_is_never_settled(rpms, desk) -> None:
    _learn(desk)
    time.sleep(1.1)
    rpms.installed("1.1")
    with rpms.held():
        assert desk.is_busy()
        desk.begin()
        desk.settle()
        assert desk.has_news() and [run.ended_ms for run in desk.transactions] == [0]
    desk.begin()
    assert not desk.is_busy() and desk.transactions[0].ended_ms


def test_a_configuration_file_of_ones_own_is_no_contradiction_and_the_shipped_one_beside_it_is_proved(
    rpms, desk
) -> None:
    _learn(desk)
    (rpms.root / "etc/hf.conf").write_bytes(b"a=2\n")
    rpms.installed("1.1", files=FILES | {"etc/hf.conf": b"a=3\n"}, listed=LISTED)
    desk.learn()
    desk.begin()
    found = judge(rpms.change("/etc/hf.conf"), desk)
    assert found.level is Level.NONE and not found.contradicts and "a configuration file of hf-tool" in found.basis
    assert judge(rpms.change("/etc/hf.conf.rpmnew"), desk).level is Level.SIGNED


def test_a_mode_that_the_package_does_not_ship_stands_out(rpms, desk) -> None:
    _learn(desk)
    before = rpms.node("/usr/bin/hf-tool")
    (rpms.root / "usr/bin/hf-tool").chmod(0o4755)
    found = judge(rpms.change("/usr/bin/hf-tool", before), desk)
    assert found.contradicts and "with mode 4755 where it ships 0755" in found.basis


def test_what_was_learnt_is_known_to_the_next_desk(rpms, desk, tmp_path: Path) -> None:
    assert _learn(desk).signed == 1 and desk.learn().archives == 0
    again = RpmDesk(LinuxHost(), tmp_path / "state", str(rpms.database))
    assert again.is_begun() and again.learn().archives == 0
    again.begin()
    (one,) = again.shipped(TOOL)
    assert one.installed and one.signed_by and "/var/lib/hf/made" in again.scripts("hf-tool")
    assert (
        again.former(TOOL) == ["hf-tool"]
        and again.copies(one.file.content, frozenset({"hf-tool"})) == "/usr/bin/hf-tool"
    )
    again.close()
    assert list((tmp_path / "state").glob("rpmdb-*")) == [], "a copy that is in use has no name"


def test_an_older_version_that_is_put_back_is_told_as_a_downgrade(rpms, desk) -> None:
    rpms.installed("1.10")
    _learn(desk)
    time.sleep(1.1)
    rpms.install(rpms.sign(rpms.build("1.9")), "--oldpackage")
    desk.begin()
    (run,) = desk.transactions
    assert summary(run) == "hf-tool 1.10-1 -> 1.9-1 (downgraded)"
    ((folded,), _) = fold([], [run])
    assert transaction_event(folded).severity is Severity.MEDIUM


@pytest.mark.parametrize(
    ("number", "name", "is_weak"), [(1, "md5", True), (2, "sha1", True), (8, "sha256", False), (10, "sha512", False)]
)
def test_a_signed_header_with_a_weak_digest_is_listed_and_that_is_said(
    rpms, tmp_path: Path, number: int, name: str, is_weak: bool
) -> None:
    rpms.key_file()
    rpms.install(
        rpms.sign(rpms.build("1.0", None, "", "--define", f"_binary_filedigest_algorithm {number}")), "--nodigest"
    )
    desk = RpmDesk(LinuxHost(), tmp_path / "state", str(rpms.database))
    learnt = _learn(desk)
    assert learnt.signed == 1
    path = str(rpms.root / "usr/bin/hf-tool").encode()
    desk.digest = lambda _, algorithm: Present.digest(desk, path, algorithm)  # type: ignore[method-assign]
    found = judge(rpms.change("/usr/bin/hf-tool"), desk)
    if is_weak:
        written = {"md5": "MD5", "sha1": "SHA-1"}[name]
        assert desk.standing() == (f"hf-tool 1.0-1 says what its files hold by {written} alone, which proves nothing",)
        assert (found.level, found.basis) == (
            Level.LISTED,
            f"as the signed header of hf-tool says, but by {written} alone, which can be forged",
        )
    else:
        assert desk.standing() == ()
        assert found.level is (Level.SIGNED if name == "sha256" else Level.LISTED), found
        assert name == "sha256" or "says by SHA-512" in found.basis
    (rpms.root / "usr/bin/hf-tool").write_bytes(b"two\n")
    assert judge(rpms.change("/usr/bin/hf-tool"), desk).contradicts, "that they differ is proved by any digest"
    desk.close()


def test_a_package_without_files_has_no_weak_digest(rpms, tmp_path: Path) -> None:
    rpms.key_file()
    empty = rpms.build("1.0", {"usr/share/none": b""}, "%exclude /usr/share/none")
    rpms.install(rpms.sign(empty))
    desk = RpmDesk(LinuxHost(), tmp_path / "state", str(rpms.database))
    assert _learn(desk).signed == 1 and desk.standing() == ()
    desk.close()


def test_nothing_is_learnt_while_a_run_is_under_way(rpms, desk) -> None:
    with rpms.held():
        assert desk.learn().archives == 0
    assert desk.learn().archives == 1


def test_a_history_that_cannot_be_read_is_said_and_the_run_is_told_without_it(rpms, desk) -> None:
    _learn(desk)
    time.sleep(1.1)
    rpms.installed("1.1")
    rpms.history.write_bytes(b"nonsense" * 999)
    desk.begin()
    assert [run.tool for run in desk.transactions] == ["rpm"]
    assert any("dnf's history cannot be read" in flaw for flaw in desk.learn().flaws)
    assert "dnf's history cannot be read" in desk.standing()[0]
    rpms.history.unlink()
    desk.begin()
    assert desk.standing() == ()
