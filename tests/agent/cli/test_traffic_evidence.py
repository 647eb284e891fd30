"""`holdfast traffic evidence` against a control socket that a test answers; the whole way is in test_traffic_end_to_end."""

import base64
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent.cli import traffic_evidence
from agent.cli.traffic import traffic
from collectors.traffic.output.sealing import Sealer
from contracts.errors import HoldfastError
from tests.collectors.traffic.rules.engine import scene

NAME = "1700000000000-9000001-1.pcap"


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    content: dict[str, bytes] = {}

    def ask(path: Path, verb: str, arguments: dict[str, Any]) -> Any:
        assert arguments["watcher"] == "traffic" and arguments["what"] == "evidence"
        if verb == "kept":
            return [{"name": name, "bytes": len(data), "at_ms": 1_700_000_000_000} for name, data in content.items()]
        return {"name": arguments["name"], "content": base64.b64encode(content[arguments["name"]]).decode()}

    monkeypatch.setattr(traffic_evidence, "ask", ask)
    return content


def called(*words: str) -> Any:
    return CliRunner().invoke(traffic, ["evidence", *words])


def test_captures_are_listed_shown_and_exported(kept: dict[str, bytes], tmp_path: Path) -> None:
    assert called("list").output == "No evidence is kept.\n"
    kept[NAME] = scene.capture([scene.udp(b"a needle")]).getvalue()
    assert NAME in called("list").output and "9000001" in called("list").output
    assert '"bytes"' in called("list", "--json").output
    assert "UDP" in called("show", NAME).output and "needle" in called("show", "--full", NAME).output
    out = tmp_path / "x.pcap"
    assert called("export", NAME, "--out", str(out)).exit_code == 0 and out.read_bytes() == kept[NAME]
    assert isinstance(called("export", NAME, "--out", str(tmp_path / "no" / "x")).exception, HoldfastError)


def test_sealed_evidence_wants_its_secret_and_damaged_evidence_is_named(kept: dict[str, bytes], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("right\n")
    kept[NAME] = Sealer(b"right").seal(scene.capture([scene.udp(b"x")]).getvalue(), NAME)
    assert "sealed" in str(called("show", NAME).exception)
    assert "UDP" in called("show", NAME, "--key", f"file:{secret}").output
    secret.write_text("wrong\n")
    assert "not the one" in str(called("show", NAME, "--key", f"file:{secret}").exception)
    kept[NAME] = b"no capture"
    assert isinstance(called("show", NAME).exception, HoldfastError)
