"""What `make native` has compiled of this room is in use, or it is said why not."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from collectors.traffic.native import ROOM
from contracts.native import SUFFIX, SWITCH


def test_the_switch_leaves_compiled_modules_out() -> None:
    code = "import collectors.traffic.streams.plain as one; from collectors.traffic.native import ROOM; print(one.__file__, ROOM.how())"
    environment = {**os.environ, SWITCH: "0"}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert "plain.py uncompiled (HOLDFAST_NATIVE=0)" in said


def test_this_run_is_what_it_says() -> None:
    import collectors.traffic.streams.plain as plain

    said = ROOM.how()
    assert said == "compiled" if str(plain.__file__).endswith(SUFFIX) else said.startswith("uncompiled (")


def test_all_that_compiled_modules_import_of_ours_counts() -> None:
    root = Path(__file__).resolve().parents[3]
    spec = importlib.util.spec_from_file_location("native_tool", root / "tools" / "native.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    sources = tool.chosen(root, ROOM)
    counted = tool.involved(root, sources)
    assert "collectors/traffic/streams/plain.py" in sources and "collectors/traffic/block.py" not in sources
    assert {*sources, "collectors/traffic/block.py", "contracts/record.py"} <= set(counted)
    assert not any("/detectors/" in name or "/output/" in name for name in counted)
