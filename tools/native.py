"""Compiles the hot paths with mypyc, where there are a C compiler and Python's headers; nothing else is needed to run.

usage: native.py [--strict]   (`make native`; `contracts/native.py` takes what is built, each room's `native.py` says what is)

The sources stay ordinary Python, and run as they are wherever they are not compiled. What was built of the same sources stays. Without
--strict, what is wanting is one line and no failure.
"""

import argparse
import ast
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from collectors.traffic.native import ROOM as TRAFFIC  # noqa: E402
from contracts import native  # noqa: E402
from contracts.native import Room  # noqa: E402

ROOMS = (TRAFFIC,)
SLOWER = "all of it runs uncompiled, the traffic sensor at about two thirds of the speed"
OURS = ("actions", "collectors", "contracts")
SLICES = """
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#define PyBytes_FromStringAndSize(from, size) PyBytes_FromStringAndSize((from), (size) < 0 ? 0 : (size))
#define PyByteArray_FromStringAndSize(from, size) PyByteArray_FromStringAndSize((from), (size) < 0 ? 0 : (size))
"""
"""Before every C file: a slice that ends before it begins is empty, as in Python; mypyc's own raises SystemError there."""
CONFIG = """[mypy]
explicit_package_bases = True
namespace_packages = True
ignore_missing_imports = True
"""


def chosen(root: Path, room: Room) -> list[str]:
    """Return the sources of a room that are to be compiled, as paths below `root`."""
    found: list[Path] = []
    for name in room.compiled:
        place = root / room.package.replace(".", "/") / name.strip(".").replace(".", "/")
        found += place.rglob("*.py") if name.endswith(".") else [place.with_suffix(".py")]
    return sorted(str(path.relative_to(root)) for path in found if path.name != "__init__.py")


def involved(root: Path, sources: list[str]) -> list[str]:
    """Return `sources` and all of our modules that they import, directly or not: what the compiled code relies on."""
    waiting, found = list(sources), set(sources)
    while waiting:
        tree = ast.parse((root / waiting.pop()).read_bytes())
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        for name in names:
            path = name.replace(".", "/") + ".py"
            if name.split(".")[0] in OURS and path not in found and (root / path).is_file():
                found.add(path)
                waiting.append(path)
    return sorted(found)


def wanting() -> str:
    """Return what is missing for compiling, "" when nothing is."""
    if not compiler():
        return "there is no C compiler (apt-get install gcc)"
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").is_file():
        return "Python's headers are not there (apt-get install python3-dev)"
    missing = [name for name in ("mypyc", "setuptools", "numpy") if importlib.util.find_spec(name) is None]
    return f"not installed here: {', '.join(missing)} (`make native` brings it)" if missing else ""


def compiler() -> str:
    """Return the C compiler: CC, the one that Python was built with, or any."""
    for name in (os.environ.get("CC"), (sysconfig.get_config_var("CC") or "").split(" ")[0], "cc", "gcc", "clang"):
        if name and shutil.which(name):
            return name
    return ""


def compile_all(root: Path, sources: list[str], group: str, folder: Path, work: Path) -> None:
    """Write C for `sources`, and compile it into one extension per module (and the library they share, `group`) in `folder`."""
    from mypyc.build import mypycify

    config = work / "mypy.ini"
    config.write_text(f"{CONFIG}cache_dir = {work}/cache\n", "utf-8")  # not beside a mypy that runs at the same time
    slices = work / "slices.h"
    slices.write_text(SLICES, "utf-8")
    before = Path.cwd()
    os.chdir(root)
    try:
        extensions = mypycify(
            [*sources, f"--config-file={config}"],
            opt_level="2", debug_level="0", multi_file=True,
            group_name=group.removesuffix("__mypyc"), target_dir=str(work),
        )  # fmt: skip
        objects = {source: str(work / f"{number}.o") for number, source in enumerate(_sources(extensions))}

        def one(source: str) -> None:
            extension = next(one for one in extensions if source in one.sources)
            flags = [*extension.extra_compile_args, *(f"-I{path}" for path in extension.include_dirs)]
            include = sysconfig.get_paths()["include"]
            call = [
                compiler(),
                "-c",
                "-fPIC",
                "-DNDEBUG",
                "-include",
                str(slices),
                *flags,
                f"-I{include}",
                source,
                "-o",
                objects[source],
            ]
            subprocess.run(call, check=True)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(one, objects))
        for extension in extensions:
            made = [objects[source] for source in extension.sources]
            subprocess.run(
                [compiler(), "-shared", "-o", str(folder / (extension.name + native.SUFFIX)), *made], check=True
            )
    finally:
        os.chdir(before)


def _sources(extensions: list) -> list[str]:
    return sorted({source for extension in extensions for source in extension.sources})


def build(root: Path, room: Room) -> int:
    """Build all of a room that is to be compiled, and exchange what was built before; returns how many modules there are."""
    sources, into = chosen(root, room), room.folder
    digests = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in involved(root, sources)}
    name = hashlib.sha256(json.dumps([digests, native.SUFFIX]).encode()).hexdigest()[:16]
    into.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into) as work:
        built = Path(work) / "built"
        built.mkdir()
        compile_all(root, sources, room.group, built, Path(work))
        shutil.rmtree(into / name, ignore_errors=True)
        built.rename(into / name)
    fresh = into / "manifest.new"
    fresh.write_text(json.dumps({"suffix": native.SUFFIX, "build": name, "sources": digests}, indent=1), "utf-8")
    fresh.replace(into / "manifest.json")
    for old in into.iterdir():
        if old.is_dir() and old.name != name:
            shutil.rmtree(old, ignore_errors=True)
    return len(sources)


def is_there(root: Path, room: Room) -> bool:
    """Return whether the same was built already."""
    try:
        found = native.manifest(room.folder)
    except native.Stale:
        return False
    known = found.get("sources")
    return (
        isinstance(known, dict)
        and sorted(known) == involved(root, chosen(root, room))
        and not native.changed(found, root)
    )


def main() -> int:
    """Build, if that is possible and needed."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--strict", action="store_true")
    given = arguments.parse_args()
    if os.environ.get(native.SWITCH) == "0":
        print(f"{native.SWITCH}=0: {SLOWER}")
        return 0
    rooms = [room for room in ROOMS if not is_there(ROOT, room)]
    if not rooms:
        return 0
    missing = wanting()
    if missing:
        print(f"not compiled: {missing}; {SLOWER}")
        return 1 if given.strict else 0
    print("compiling the hot paths (a minute or two, once)", flush=True)
    began = time.monotonic()
    try:
        count = sum(build(ROOT, room) for room in rooms)
    except (OSError, subprocess.CalledProcessError, SystemExit) as error:
        print(f"not compiled: {error}; {SLOWER}")
        return 1 if given.strict else 0
    print(f"{count} modules compiled in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
