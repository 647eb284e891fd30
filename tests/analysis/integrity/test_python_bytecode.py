"""Compiled Python compared with its source as values."""

import importlib.util
import marshal
import py_compile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.python_bytecode import MAGIC, NotCode, same_code, values

SOURCE = """import sys
X = {1, 'a', (2, 3.5, None, 1j)}

def f(a, *, b=10**30):
    class C: pass
    return lambda: (a, b, C, b'x', ...)
"""


def _compiled(tmp_path: Path, source: str, optimize: int = 0) -> tuple[bytes, str]:
    path = tmp_path / "m.py"
    path.write_text(source)
    target = py_compile.compile(str(path), str(tmp_path / "m.pyc"), doraise=True, optimize=optimize)
    return Path(target).read_bytes(), str(path)


def test_the_magic_number_is_this_interpreters() -> None:
    assert importlib.util.MAGIC_NUMBER == MAGIC


@pytest.mark.parametrize("optimize", [0, 1, 2])
def test_what_py_compile_wrote_is_the_same(tmp_path: Path, optimize: int) -> None:
    compiled, path = _compiled(tmp_path, SOURCE, optimize)
    assert same_code(compiled, SOURCE.encode(), path, optimize)


@pytest.mark.parametrize(
    "change", [("10**30", "10**31"), ("import sys", "import os "), ("b'x'", "b'y'"), ("f(a,", "g(a,")]
)
def test_one_letter_is_another_code(tmp_path: Path, change: tuple[str, str]) -> None:
    compiled, path = _compiled(tmp_path, SOURCE)
    assert same_code(compiled, SOURCE.replace(*change).encode(), path) is False


def test_every_module_of_the_standard_library_that_lies_compiled_is_the_same() -> None:
    import os

    folder = Path(os.__file__).parent
    for compiled in sorted((folder / "json/__pycache__").glob("*.cpython-311.pyc")):
        source = folder / "json" / (compiled.name.partition(".")[0] + ".py")
        assert same_code(compiled.read_bytes(), source.read_bytes(), str(source)) is True, compiled
    again = marshal.dumps(compile((folder / "json/decoder.py").read_bytes(), str(folder / "json/decoder.py"), "exec"))
    assert same_code(
        MAGIC + bytes(12) + again, (folder / "json/decoder.py").read_bytes(), str(folder / "json/decoder.py")
    )


def test_another_pythons_cannot_be_told_and_what_is_broken_is_another(tmp_path: Path) -> None:
    compiled, path = _compiled(tmp_path, SOURCE)
    assert same_code(b"\0\0\r\n" + compiled[4:], SOURCE.encode(), path) is None
    assert same_code(compiled[:-3], SOURCE.encode(), path) is False
    assert same_code(compiled + b"\0", SOURCE.encode(), path) is False
    assert same_code(compiled, b"def", path) is False


@given(st.binary(max_size=300))
def test_any_bytes_are_values_or_refused(data: bytes) -> None:
    try:
        values(data)
    except (NotCode, RecursionError, MemoryError):
        return
