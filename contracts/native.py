"""Takes the compiled modules of a room where they were built of exactly these sources; where not, Python runs the sources as they are.

A room names what of it is compiled in its own `native.py`; `make native` (`tools/native.py`) builds that with mypyc into the room's folder
`_native`, beside a manifest: the SHA-256 of every source that went into it. One source that has changed since makes all of the room's
stale, because compiled modules call each other directly; then none is taken. `HOLDFAST_NATIVE=0` takes none either.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

SWITCH = "HOLDFAST_NATIVE"
SUFFIX = EXTENSION_SUFFIXES[0]


class Stale(Exception):
    """The compiled modules are not to be taken; says why."""


def manifest(folder: Path) -> dict[str, object]:
    """Read what was built; raises `Stale` when nothing was, or not for this Python."""
    import json

    try:
        found = json.loads((folder / "manifest.json").read_bytes())
    except FileNotFoundError:
        raise Stale("not built") from None
    except (OSError, ValueError) as error:
        raise Stale(f"the manifest cannot be read: {error}") from None
    if not isinstance(found, dict) or found.get("suffix") != SUFFIX:
        raise Stale("built for another Python")
    return found


def changed(found: dict[str, object], root: Path) -> str:
    """Return the first source below `root` that is not what it was when it was compiled, "" when all are."""
    import hashlib

    sources = found.get("sources")
    if not isinstance(sources, dict) or not sources:
        return "manifest.json"
    for name, digest in sources.items():
        try:
            if hashlib.sha256((root / name).read_bytes()).hexdigest() != digest:
                return str(name)
        except OSError:
            return str(name)
    return ""


class Finder:
    """Finds the compiled modules of a room, before Python looks for their sources.

    `state` is "compiled", or why not; "" before anybody asked for one. `names` are the room's packages (they end with a dot) and modules.
    """

    def __init__(self, names: Sequence[str], group: str, folder: Path, root: Path) -> None:
        self.state = ""
        self._wanted, self._group = tuple(names), group
        self._folder, self._root = folder, root
        self._names: frozenset[str] = frozenset()
        self._built: Path | None = None

    def _look(self) -> None:
        try:
            found = manifest(self._folder)
            name = changed(found, self._root)
            if name:
                raise Stale(f"{name} was changed since they were built")
            self._built = self._folder / str(found.get("build"))
            self._names = frozenset(path.name.removesuffix(SUFFIX) for path in self._built.iterdir())
            self.state = "compiled"
        except (Stale, OSError) as why:
            self.state = str(why)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a compiled module is; None for what is not compiled."""
        del path, target
        if not name.startswith(self._wanted) and name != self._group:
            return None
        if not self.state:
            self._look()
        if self._built is None or name not in self._names:
            return None
        file = str(self._built / (name + SUFFIX))
        return spec_from_file_location(name, file, loader=ExtensionFileLoader(name, file))


class Room:
    """A package of ours, such as "collectors.traffic"; `compiled` are packages (they end with a dot) and modules below it."""

    def __init__(self, package: str, compiled: Sequence[str], root: Path) -> None:
        self.package, self.compiled, self._root = package, tuple(compiled), root
        self.group = f"holdfast_{package.rpartition('.')[2]}__mypyc"
        """The library that all compiled modules are in; each of them is a small file that hands out its part."""
        self.folder = root / package.replace(".", "/") / "_native"
        self._finder: Finder | None = None

    def install(self) -> None:
        """Take compiled modules from now on, if there are any; cheap, as nothing is read before one is asked for."""
        if self._finder is None and os.environ.get(SWITCH) != "0" and self.folder.is_dir():
            names = [f"{self.package}.{name}" for name in self.compiled]
            self._finder = Finder(names, self.group, self.folder, self._root)
            sys.meta_path.insert(0, self._finder)

    def how(self) -> str:
        """Return "compiled", or "uncompiled" with the reason in brackets."""
        if self._finder is None:
            why = f"{SWITCH}=0" if os.environ.get(SWITCH) == "0" else "not built"
            return f"uncompiled ({why})"
        if not self._finder.state:
            return "compiled modules are not in use yet"
        return self._finder.state if self._finder.state == "compiled" else f"uncompiled ({self._finder.state})"
