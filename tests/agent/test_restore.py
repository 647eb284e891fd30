"""What the boot unit runs: each file by itself, with the real nft, and nothing that goes wrong is silent or stops the rest."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from actions.block.blocklists import saved
from actions.policy.store import Saved
from contracts.policy import Policy, Service

ROOT = Path(__file__).resolve().parents[2]
POLICY = Policy(services={"ssh": Service(ports=("22",))})


@pytest.fixture
def netns() -> Iterator[str]:
    name = f"hfpol{uuid.uuid4().hex[:8]}"
    subprocess.run(("ip", "netns", "add", name), check=True)
    try:
        yield name
    finally:
        subprocess.run(("ip", "netns", "del", name), check=True)


def inside(netns: str, *argv: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("nsenter", f"--net=/run/netns/{netns}", "--", *argv),
        capture_output=True, text=True, cwd=ROOT, check=False, input=text,
    )  # fmt: skip


def restored(netns: str, folder: Path) -> tuple[int, str, str]:
    done = inside(netns, sys.executable, "-IB", "-c", _RUN, str(folder))
    return done.returncode, done.stderr, inside(netns, "nft", "list", "ruleset").stdout


_RUN = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from agent.restore import main; sys.exit(main())"


def save(folder: Path, policy: Policy | None) -> None:
    (folder / "policy.json").write_bytes(msgspec.json.encode(Saved(policy=policy, who="root", at_ms=1)))


def test_the_confirmed_policy_is_back(netns: str, tmp_path: Path) -> None:
    save(tmp_path, POLICY)
    code, said, ruleset = restored(netns, tmp_path)
    assert code == 0
    assert "policy.json: in place" in said
    assert "bans.json: nothing was saved" in said
    assert "goto policy_input" in ruleset and "tcp dport 22 accept" in ruleset


def test_bans_are_back_beside_it(netns: str, tmp_path: Path) -> None:
    save(tmp_path, POLICY)
    (tmp_path / "bans.json").write_text('{"bans": {"203.0.113.7": {"since_ms": 1, "who": "root", "reason": "x"}}}')
    code, said, ruleset = restored(netns, tmp_path)
    assert (code, "bans.json: in place" in said) == (0, True), said
    assert "table inet holdfast_block" in ruleset and "203.0.113.7" in ruleset
    assert "table inet holdfast {" in ruleset


def test_bulk_lists_are_back_with_the_bans_and_do_not_keep_them_away(netns: str, tmp_path: Path) -> None:
    (tmp_path / "bans.json").write_text('{"bans": {"203.0.113.7": {"since_ms": 1}}}')
    (tmp_path / "blocklists").write_bytes(saved({4: [(0xC0000200, 0xC00002FF)], 6: [(0x20010DB8 << 96,) * 2]}))
    code, said, ruleset = restored(netns, tmp_path)
    assert (code, "bans.json and blocklists: in place" in said) == (0, True), said
    assert "192.0.2.0/24" in ruleset and "203.0.113.7" in ruleset and "2001:db8::" in ruleset
    (tmp_path / "blocklists").write_bytes(b"not what we wrote\n")
    inside(netns, "nft", "flush", "ruleset")
    code, said, ruleset = restored(netns, tmp_path)
    assert code == 1
    assert "bans.json and blocklists: not restored" in said and "bans.json: in place" in said
    assert "203.0.113.7" in ruleset and "192.0.2.0/24" not in ruleset


def test_with_nothing_saved_there_is_nothing_to_do(netns: str, tmp_path: Path) -> None:
    code, said, ruleset = restored(netns, tmp_path)
    assert (code, ruleset) == (0, "")
    assert "nothing was saved" in said


def test_a_removed_policy_stays_removed(netns: str, tmp_path: Path) -> None:
    save(tmp_path, None)
    assert restored(netns, tmp_path)[::2] == (0, "")


def test_a_damaged_file_is_told_and_does_not_hold_up_the_other(netns: str, tmp_path: Path) -> None:
    save(tmp_path, POLICY)
    (tmp_path / "bans.json").write_text("{")
    code, said, ruleset = restored(netns, tmp_path)
    assert code == 1
    assert "bans.json: not restored" in said
    assert "Traceback" not in said
    assert "policy_input" in ruleset


def test_what_nft_refuses_is_told_in_its_words_and_nothing_is_half_loaded(tmp_path: Path) -> None:
    from agent.restore import restore
    from agent.wiring import host

    (tmp_path / "x").write_bytes(b"saved")
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agent.restore.say", said.append)
        # Refused while it is parsed: nothing reaches the kernel of this machine.
        assert not restore(host(), str(tmp_path), "x", "", lambda saved, now_ms, more: "nonsense here\n")
        assert not restore(host(), str(tmp_path), "x", "", lambda saved, now_ms, more: str(1 // 0))
    assert "nft refused it" in said[0] and "syntax error" in said[0]
    assert "by a defect: ZeroDivisionError" in said[1]


def test_without_a_folder_it_says_so() -> None:
    done = subprocess.run([sys.executable, "-IB", "-c", _RUN], capture_output=True, text=True, check=False, env={})
    assert done.returncode == 2
    assert "no folder is named" in done.stderr
