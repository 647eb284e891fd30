"""What the agent's processes do without."""

import subprocess
import sys

HEAVY = {"typing_extensions", "inspect", "dataclasses"}


def _loaded(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_no_process_of_the_agent_imports_what_only_costs_memory():
    code = "import agent.daemon, agent.instance, agent.wiring as w, sys; w.judges(); w.hosting('netfilter'); w.hosting('reader')"
    assert not HEAVY & set(_loaded(f"{code}; print(*sys.modules)"))


def test_who_needs_the_module_gets_it_and_a_loaded_one_is_left_alone():
    assert _loaded("import agent.lean, typing_extensions; print(typing_extensions.Buffer.__name__)") == ["Buffer"]
    assert _loaded("import typing_extensions as t, sys, agent.lean; print(sys.modules['typing_extensions'] is t)") == [
        "True"
    ]
