"""Every module says what it is for and has a test twin; no file has two subjects by its size."""

import ast
from pathlib import Path
from typing import Any

import pytest

NO_TWIN = {"catalog", "commands", "env"}
"""Modules that hold data alone; the conformance tests walk them."""


def _twins(root: Path) -> set[str]:
    return {path.stem.removeprefix("test_") for path in (root / "tests").rglob("test_*.py")} | {
        "/".join(path.relative_to(root / "tests").with_suffix("").parts).replace("test_", "")
        for path in (root / "tests").rglob("test_*.py")
    }


def test_every_module_has_a_docstring(modules: tuple[Any, ...]) -> None:
    assert [module.name for module in modules if not ast.get_docstring(module.tree)] == []


def test_every_module_has_a_test_twin(modules: tuple[Any, ...], root: Path) -> None:
    twins = _twins(root)
    missing = []
    for module in modules:
        stem = module.path.stem
        if stem in {"__init__", "__main__"} or stem in NO_TWIN or "versions" in module.path.parts:
            continue
        if stem not in twins and f"{module.path.parent.name}_{stem}" not in twins:
            missing.append(module.name)
    assert missing == []


def test_files_have_one_subject(modules: tuple[Any, ...]) -> None:
    assert [f"{m.name}: {n} lines" for m in modules if (n := m.path.read_text().count("\n")) > 450] == []


def test_functions_stay_readable(modules: tuple[Any, ...]) -> None:
    long = [
        f"{module.path}:{node.lineno}: {node.name} has {lines} lines"
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > 60
    ]
    assert long == []


@pytest.mark.parametrize("name", ["utils", "common", "helpers", "manager", "misc"])
def test_no_junk_drawers(modules: tuple[Any, ...], name: str) -> None:
    assert [module.name for module in modules if module.path.stem == name] == []


def test_no_error_is_swallowed(modules: tuple[Any, ...]) -> None:
    wrong = []
    for module in modules:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            broad = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}
            )
            if broad and all(isinstance(step, ast.Pass | ast.Continue) for step in node.body):
                wrong.append(f"{module.path}:{node.lineno}")
    assert wrong == []
