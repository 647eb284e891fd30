"""The parts that a command needs are there soon, and nothing of a listener comes with them."""

import subprocess
import sys
from typing import Any

from console.parts import agents_url, people_url


def test_a_command_imports_nothing_of_a_listener() -> None:
    code = "import sys, console.cli.token; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"uvicorn", "httptools", "uvloop", "litestar", "jinja2", "prometheus_client", "alembic", "zstandard"}
    assert heavy & set(done.stdout.split()) == set()


def test_addresses_are_written_as_others_reach_them(console_settings: Any) -> None:
    assert agents_url(console_settings, "192.0.2.1:8444") == "https://192.0.2.1:8444"
    assert agents_url(console_settings, "[2001:db8::1]:8444") == "https://[2001:db8::1]:8444"
    assert "0.0.0.0" not in agents_url(console_settings, "0.0.0.0:8444")
    assert people_url(console_settings, "127.0.0.1:8443") == "https://127.0.0.1:8443"
