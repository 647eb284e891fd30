"""The real host is whole, changes what it is told to, and costs little to import."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import Unavailable
from contracts.host import Host
from host.linux import LinuxHost


def test_it_is_a_host() -> None:
    host: Host = LinuxHost()
    assert not host.dry
    assert host.now().utcoffset() is not None
    assert host.monotonic() <= host.monotonic()
    assert host.sockets.listening(owners=False).owners_seen is False


def test_changes_are_made(tmp_path: Path) -> None:
    host = LinuxHost()
    assert host.change("touch", str(tmp_path / "a")).code == 0
    host.write(str(tmp_path / "b"), b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    with pytest.raises(Unavailable):
        host.change("no-such-tool")


def test_what_was_read_is_counted() -> None:
    host = LinuxHost()
    before = host.read_bytes
    host.files.read("/proc/self/status")
    assert host.read_bytes > before


def test_importing_it_brings_nothing_heavy() -> None:
    code = "import host.linux, sys; print(sorted({'psutil', 'subprocess', 'asyncio', 'json'} & set(sys.modules)))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def test_whoever_gives_up_privileges_can_import_everything_before(netns: Any) -> None:
    code = """
import json, os, sys
from host.linux import LinuxHost, prepare
prepare()
before = set(sys.modules)
host = LinuxHost()
host.processes.describe([os.getpid()]); host.sockets.listening(); host.facts(); host.packages.owner("/usr/bin/ls")
host.commands.ask("ss", "-tulpnH")
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    assert netns.python(code) == []


def test_a_long_answer_comes_in_pieces_and_a_failure_is_said() -> None:
    host = LinuxHost()
    whole = b"".join(host.pieces("apt-helper", "cat-file", "/var/lib/dpkg/status"))
    assert whole == Path("/var/lib/dpkg/status").read_bytes() and len(whole) > 1 << 18
    with pytest.raises(Unavailable, match="ended with"):
        list(host.pieces("apt-helper", "cat-file", "/nonexistent"))
    with pytest.raises(ValueError, match="only reads"):
        list(host.pieces("apt-get", "update"))
