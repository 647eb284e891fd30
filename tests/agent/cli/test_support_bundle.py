"""The command writes a bundle even when there is neither agent nor configuration."""

import tarfile
from pathlib import Path

import pytest

from agent import command, wiring
from agent.settings import Vocabulary, compose


def test_a_bundle_is_written_whatever_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wiring, "vocabulary", lambda: Vocabulary(settings=compose({}, {}), kinds={}, actions={}))
    target = tmp_path / "b.tar.gz"
    assert command.run(["support-bundle", "-c", str(tmp_path / "none.yaml"), "-o", str(target)]) == 0
    assert str(target) in capsys.readouterr().out
    with tarfile.open(target) as archive:
        assert "holdfast-support/manifest.json" in archive.getnames()
    assert command.run(["support-bundle", "-c", str(tmp_path / "none.yaml"), "-o", str(target)]) == 74
    assert capsys.readouterr().err == f"holdfast: {target} is there already; name another with --output\n"
