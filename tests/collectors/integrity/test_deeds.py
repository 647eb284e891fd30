"""A person can scan, see what differs and accept it; the console can have files proved. Nothing else is read for anybody."""

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from collectors.integrity.deeds import Accept, Diff, Prove, Scan
from collectors.integrity.packages.desk import PackageDesk
from contracts.action import Command, Result
from contracts.errors import HoldfastError, Unavailable, UsageError
from contracts.options import ActionOptions
from contracts.wire import NO_PROOF
from tests.collectors.integrity.packages.repository import Made
from tests.collectors.integrity.running import Running, options, running


def do(watch: Running, deed: Any, who: str = "anna", dry_run: bool = False, **arguments: Any) -> Result:
    command = Command(id="1", action=deed.name, arguments=arguments, who=who, dry_run=dry_run)
    result: Result = deed(ActionOptions()).do(watch.host, command, lambda *_: None)
    return result


def test_a_person_sees_what_differs_and_accepts_it(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "old").write_text("x")
    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        (tree / "old").rename(tree / "new")
        (tree / "more").write_text("y")
        watch.until(lambda: len(watch.kinds()) >= 2)
        answer = do(watch, Diff).answer
        shown = [json.loads(raw) for raw in answer["changes"]]  # type: ignore[union-attr]
        assert {(s["words"][0], s["path"], s["former"]) for s in shown} == {
            ("renamed", f"{tree}/new", f"{tree}/old"),
            ("created", f"{tree}/more", ""),
        }
        page = do(watch, Diff, after=1, limit=1).answer
        assert len(page["changes"]) == 1 and not page["more"]  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="why"):
            do(watch, Accept, reason=" ")
        assert do(watch, Accept, reason="x", dry_run=True).answer["count"] == 3
        accepted = do(watch, Accept, path=f"{tree}/more", reason="ticket 7")
        assert [(e.kind, e.fields["who"], e.fields["reason"], e.fields["count"]) for e in accepted.events] == [
            ("integrity.accepted", "anna", "ticket 7", 1)
        ]
        assert do(watch, Accept, reason="all").answer["count"] == 2
        assert do(watch, Diff).answer["changes"] == [] and do(watch, Accept, reason="none").events == ()


def test_a_scan_finds_what_no_notice_told(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    with running(tmp_path / "state", options(tree, realtime=False)) as watch:
        watch.based()
        (tree / "sub/x").write_text("x")
        (tree / "y").write_text("y")
        assert do(watch, Scan, path=f"{tree}/sub").answer["changes"] == 1
        watch.until(lambda: watch.kinds() == [("created", f"{tree}/sub/x")])
        assert do(watch, Scan).answer["changes"] == 1
        with pytest.raises(HoldfastError, match="nothing at or above"):
            do(watch, Scan, path="/proc")
        with pytest.raises(UsageError, match="not a path"):
            do(watch, Scan, path="relative")
    with pytest.raises(Unavailable, match="not being watched"):
        do(watch, Scan)


def test_files_are_proved_with_a_nonce_and_no_others_are_read(tmp_path: Path) -> None:
    tree, nonce = tmp_path / "tree", os.urandom(16)
    tree.mkdir()
    (tmp_path / "outside").write_text("secret")
    for number in range(20):
        (tree / f"{number}").write_text(str(number))
    with running(tmp_path / "state", options(tree)) as watch:
        watch.based()
        picked = do(watch, Prove, nonce=nonce.hex(), count=5).answer
        assert len(picked["paths"]) == 5  # type: ignore[arg-type]
        wanted = [sha256(nonce + Path(path).read_bytes()).hexdigest() for path in picked["paths"]]  # type: ignore[union-attr]
        assert picked["proofs"] == wanted
        assert do(watch, Prove, nonce=nonce.hex(), count=5).answer["paths"] == picked["paths"]
        asked = do(watch, Prove, nonce=nonce.hex(), paths=[f"{tmp_path}/outside", f"{tree}/3"]).answer
        assert asked["proofs"] == [NO_PROOF, sha256(nonce + b"3").hexdigest()]
        for bad in ("", "00", "no hex"):
            with pytest.raises(UsageError, match="nonce"):
                do(watch, Prove, nonce=bad)


def test_a_new_key_of_packages_is_accepted_by_name_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made(tmp_path / "made", monkeypatch)
    made.archive()
    made.sign()
    made.installed("1.0")
    (tmp_path / "tree").mkdir()
    with running(tmp_path / "state", options(tmp_path / "tree")) as watch:
        watch.based()
        desk = PackageDesk(watch.host, Path(watch.host.state) / "packages")
        desk.learn()
        key = made.another_key()
        archive = made.archive("1.1")
        made.sign()
        assert f"signed by keys that came later: {key}" in desk.learn().flaws[0]
        with pytest.raises(UsageError, match="why"):
            do(watch, Accept, key=key)
        with pytest.raises(UsageError, match="not a fingerprint"):
            do(watch, Accept, key=key[:16], reason="x")
        with pytest.raises(UsageError, match="no list of apt's is signed by"):
            do(watch, Accept, key="0" * 40, reason="x")
        with pytest.raises(UsageError, match="both"):
            do(watch, Accept, key=key, path="/etc", reason="x")
        assert do(watch, Accept, key=key, reason="x", dry_run=True).events == ()
        spaced = " ".join(key.lower()[at : at + 4] for at in range(0, 40, 4))
        (event,) = do(watch, Accept, key=spaced, reason="as on their page").events
        assert (event.kind, event.key, event.fields["who"]) == ("integrity.package_key_accepted", key, "anna")
        learnt = desk.learn()
        assert (learnt.signed, learnt.flaws) == (1, ()), f"{archive} is read again, and proved"
        assert "already" in do(watch, Accept, key=key, reason="x").summary
        desk.close()
    made.close()
