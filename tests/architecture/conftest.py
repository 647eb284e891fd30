"""What the architecture tests read: every module of the tree as a syntax tree."""

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("contracts", "settings", "host", "analysis", "collectors", "actions", "agent", "console")


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name, its path, its tree and the dotted names it imports (with the line)."""

    name: str
    path: Path
    tree: ast.Module
    imports: tuple[tuple[str, int], ...]

    @property
    def package(self) -> str:
        return self.name.split(".")[0]

    def __str__(self) -> str:
        return self.name


def _imports(tree: ast.Module) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute in this tree"
            assert node.module is not None
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return tuple(found)


def _read() -> tuple[Module, ...]:
    modules = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            tree = ast.parse(path.read_text(), str(path))
            modules.append(Module(dotted, path, tree, _imports(tree)))
    return tuple(modules)


MODULES = _read()


@pytest.fixture(scope="session")
def modules() -> tuple[Module, ...]:
    """Every module of every package."""
    return MODULES


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT
