"""The only door to YAML: bytes of one file to a tree with positions, and nothing but `ConfigErrors` for what is not acceptable.

Reads PyYAML's event stream (the safe loader's parser) instead of its objects: no value is interpreted, so `no`, `22:22` and
`0755` arrive as the text that was written, and nesting is counted before it costs anything. Anchors, aliases, tags, merge keys and
second documents are refused: settings do not need them, and each is a way to say one thing and mean another.
"""

import os
import stat
from pathlib import Path
from typing import Any

import yaml

from settings.errors import ConfigError, ConfigErrors
from settings.tree import Mapping, Mark, Node, Scalar, Sequence

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 50_000
_LINE_ENDS = ("\r\n", "\n", "\r", "\x85", "\u2028", "\u2029")


def read(path: Path) -> Node:
    """Return the tree of the document in a file; never waits for whoever may write into a pipe. Raises `OSError`, `ConfigErrors`."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
        mode = os.fstat(stream.fileno()).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            at = Mark(str(path), 1, 1)
            raise _refusal(at, "is a pipe or socket, not a file; write the settings into a file")
        return parse(stream.read(MAX_BYTES + 1), str(path))


def parse(raw: bytes, file: str) -> Node:
    """Return the tree of one YAML document; an empty one is an empty mapping. Raises `ConfigErrors`."""
    text = _decode(raw, file)
    loader = yaml.SafeLoader("")
    try:
        loader = yaml.SafeLoader(text)
        return _Builder(loader, file).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = _mark(mark, file) if mark else Mark(file, 1, 1)
        raise _refusal(at, f"not valid YAML: {_reason(error)}") from error
    except yaml.reader.ReaderError as error:
        at = _position(text, error.position, file)
        raise _refusal(at, "holds a character that YAML does not allow; remove it") from error
    except (
        ValueError,
        OverflowError,
    ) as error:  # PyYAML lets these through for \U escapes and %YAML numbers out of range
        raise _refusal(_mark(loader.get_mark(), file), "not valid YAML: a number or escape is out of range") from error
    finally:
        loader.dispose()


class _Builder:
    """Builds nodes from events; recursion is bounded by `MAX_DEPTH`."""

    def __init__(self, loader: yaml.SafeLoader, file: str) -> None:
        self._loader = loader
        self._file = file
        self._nodes = 0

    def document(self) -> Node:
        """Return the only document's root."""
        self._next()  # stream start
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return Mapping({}, Mark(self._file, 1, 1))
        root = self._node(self._next(), 0)
        self._next()  # document end
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise _refusal(self._at(event), "a second document starts here; keep one document per file")
        if isinstance(root, Scalar) and root.empty:
            return Mapping({}, root.mark)
        return root

    def _next(self) -> Any:
        return self._loader.get_event()  # type: ignore[no-untyped-call]

    def _at(self, event: Any) -> Mark:
        return _mark(event.start_mark, self._file)

    def _node(self, event: Any, depth: int) -> Node:
        at = self._at(event)
        self._nodes += 1
        if depth > MAX_DEPTH:
            raise _refusal(at, f"nested deeper than {MAX_DEPTH} levels")
        if self._nodes > MAX_NODES:
            raise _refusal(at, f"holds more than {MAX_NODES} values")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _refusal(at, "anchors and aliases are not supported; write the value out where it is meant")
        if getattr(event, "tag", None) is not None:
            raise _refusal(at, f'the tag "{event.tag}" is not supported; write the value without it')
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(at, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(at, depth)
        return self._scalar(event, at)

    def _scalar(self, event: Any, at: Mark) -> Scalar:
        text: str = event.value
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise _refusal(at, "holds half of a character (a lone surrogate escape); write the character itself")
        return Scalar(text, event.style is None, at)

    def _sequence(self, at: Mark, depth: int) -> Sequence:
        items: list[Node] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Sequence(tuple(items), at)

    def _mapping(self, at: Mark, depth: int) -> Mapping:
        entries: dict[str, Node] = {}
        keys: dict[str, Mark] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, Scalar):
                raise _refusal(key.mark, "a name must be plain text, not a list or a mapping")
            if key.plain and key.text == "<<":
                raise _refusal(key.mark, "merge keys (<<) are not supported; write the settings out")
            if key.text in entries:
                raise _refusal(
                    key.mark, f'"{key.text}" stands here twice (first in line {keys[key.text].line}); remove one'
                )
            keys[key.text] = key.mark
            entries[key.text] = self._node(self._next(), depth + 1)
        return Mapping(entries, at, keys)


def _decode(raw: bytes, file: str) -> str:
    if len(raw) > MAX_BYTES:
        raise _refusal(Mark(file, 1, 1), f"is larger than {MAX_BYTES >> 20} MiB, the most a settings file may be")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        at = _position(before + " ", len(before), file)
        raise _refusal(at, f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8") from error


def _refusal(at: Mark, message: str) -> ConfigErrors:
    return ConfigErrors([ConfigError(file=at.file, line=at.line, column=at.column, path="", message=message)])


def _mark(mark: Any, file: str) -> Mark:
    return Mark(file, mark.line + 1, mark.column + 1)


def _position(text: str, index: int, file: str) -> Mark:
    before = text[:index].replace("\r\n", "\n")
    for end in _LINE_ENDS[2:]:
        before = before.replace(end, "\n")
    return Mark(file, before.count("\n") + 1, index - max(text.rfind(end, 0, index) for end in _LINE_ENDS[1:]))


def _reason(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "it cannot be read")
    if "'\\t'" in problem:
        return "a tab cannot indent or start a value; use spaces"
    if "mapping values are not allowed" in problem:
        return 'a ": " is out of place; indent the line as its neighbours are, or put the value in quotes'
    return problem
