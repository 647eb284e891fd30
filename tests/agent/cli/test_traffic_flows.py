"""`holdfast traffic flows`."""

import base64
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent.cli import traffic_evidence, traffic_flows
from agent.cli.traffic import traffic
from collectors.traffic.output.sealing import Sealer
from contracts.errors import HoldfastError


def test_records_are_written_oldest_first_and_unsealed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept: dict[str, bytes] = {}

    def ask(path: Path, verb: str, arguments: dict[str, Any]) -> Any:
        assert arguments["what"] == "flows"
        if verb == "kept":
            return [{"name": name} for name in kept]
        return {"content": base64.b64encode(kept[arguments["name"]]).decode()}

    for module in (traffic_flows, traffic_evidence):
        monkeypatch.setattr(module, "ask", ask)
    assert isinstance(CliRunner().invoke(traffic, ["flows"]).exception, HoldfastError)
    secret = tmp_path / "key"
    secret.write_text("s\n")
    kept["1.ndjson"] = b'{"a":1}\n'
    kept["2.ndjson"] = Sealer(b"s").seal(b'{"a":2}\n', "2.ndjson")
    assert CliRunner().invoke(traffic, ["flows", "--key", f"file:{secret}"]).output == '{"a":1}\n{"a":2}\n'
