"""Files of YARA rules in a folder, compiled once and asked of files of web roots; nothing is loaded before there are rules.

YARA-X compiles conditions to machine code, which a unit with `MemoryDenyWriteExecute=yes` forbids: that is told as what cannot be seen,
with the line that allows it. The library takes 6 MB when it is loaded and 14 MB more with a first set of rules.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.coverage import Blind
from contracts.errors import Unavailable, Why

ENDINGS = (".yar", ".yara")
SCAN_S = 5
MOST_RULE_BYTES = 16 << 20
MOST_BYTES = 8 << 20
_WHAT = "web shells by YARA rules"


class YaraRules:
    """The rules of one folder. For one thread. Rules that do not compile are left out and named; the others are used."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._stamp: tuple[tuple[str, int, int], ...] | None = None
        self._scanner: Any = None
        self.blind: tuple[Blind, ...] = ()
        """What is not seen, as of the last look."""

    def matching(self, content: bytes) -> list[str]:
        """Return the names of the rules that fit, `namespace:rule`; [] while `blind` says why nothing can be asked."""
        self.refresh()
        if self._scanner is None:
            return []
        try:
            found = self._scanner.scan(content[:MOST_BYTES])
        except Exception as error:  # noqa: BLE001  # the library's own kinds, by name: they are not there before it is loaded
            self.blind = (_blind(Why.TIMEOUT if "imeout" in type(error).__name__ else Why.OTHER, str(error)[:200]),)
            return []
        return [f"{rule.namespace}:{rule.identifier}" for rule in found.matching_rules]

    def refresh(self) -> None:
        """Compile again when a file of the folder came, went or changed."""
        try:
            stamp = tuple(self._files())
        except OSError as error:
            self._scanner, self._stamp = None, None
            self.blind = (_blind(Why.NOT_PRESENT, f"{self._folder}: {(error.strerror or str(error)).lower()}"),)
            return
        if stamp == self._stamp:
            return
        self._stamp, self._scanner = stamp, None
        if not stamp:
            self.blind = (_blind(Why.NOT_PRESENT, f"{self._folder} holds no rules ({', '.join(ENDINGS)})"),)
            return
        try:
            self._scanner, refused = _compiled([Path(name) for name, _, _ in stamp])
        except Unavailable as error:
            self.blind = (_blind(error.why, error.message, error.advice),)
            return
        self.blind = (_blind(Why.MALFORMED, "; ".join(refused)[:500]),) if refused else ()

    def _files(self) -> Iterator[tuple[str, int, int]]:
        for file in sorted(self._folder.iterdir()):
            if file.suffix in ENDINGS and file.is_file():
                found = file.stat()
                yield str(file), found.st_mtime_ns, found.st_size


def _compiled(files: list[Path]) -> tuple[Any, list[str]]:
    """Return a scanner of the rules in the files, and a sentence for each file that does not compile; raises `Unavailable`."""
    try:
        import yara_x
    except ImportError as error:
        advice = "Install the package yara-x into Holdfast's environment."
        raise Unavailable(Why.TOOL_MISSING, "the library yara-x is not installed", advice=advice) from error
    compiler, refused = yara_x.Compiler(), []
    for file in files:
        if file.stat().st_size > MOST_RULE_BYTES:
            refused.append(f"{file.name} is longer than {MOST_RULE_BYTES} bytes")
            continue
        compiler.new_namespace(file.stem)
        try:
            compiler.add_source(file.read_text(errors="replace"), origin=file.name)
        except yara_x.CompileError as error:
            refused.append(f"{file.name}: {str(error).splitlines()[0]}")
    try:
        scanner = yara_x.Scanner(compiler.build())
    except BaseException as error:
        # A panic of the library's is no `Exception`; anything else that is none is not its own and goes on.
        if type(error).__name__ != "PanicException":
            raise
        advice = "Allow it for this worker: MemoryDenyWriteExecute=no in a drop-in of its unit."
        raise Unavailable(Why.PERMISSION, "YARA may not make memory executable here", advice=advice) from error
    scanner.set_timeout(SCAN_S)
    return scanner, refused


def _blind(why: Why, detail: str, fix: str = "") -> Blind:
    return Blind(what=_WHAT, why=why, detail=detail, fix=fix or "Put rules into the folder, or name none.")
