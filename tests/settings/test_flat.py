"""The flat list names every setting once, with its value as the file would hold it and its origin."""

from pathlib import Path
from typing import Any

from settings.flat import flat
from settings.load import explain


def test_every_setting_is_listed_with_value_and_origin(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("collectors:\n  ports:\n    every: 60s\n    token: file:/x\n")
    found = {each.path: each for each in flat(explain(path, kind))}
    assert found["collectors.ports.every"].written == "1m"
    assert found["collectors.ports.every"].origin == f"{path}:3:12"
    assert found["collectors.ports.token"].written == '"file:/x"'
    assert (found["collectors.ports.limit"].written, found["collectors.ports.limit"].origin) == ("4", "default")
    assert "collectors" not in found
