"""From files to typed settings: the main file, its drop-ins over it in name order, and where every value came from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from settings import yaml
from settings.convert import Converter
from settings.errors import ConfigError, ConfigErrors
from settings.tree import Mapping, Mark, Node, Scalar, merge

T = TypeVar("T")


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """Settings and where each came from: `marks` by path; a setting that is not there has its default. `files` in the order read."""

    value: T
    marks: dict[str, Mark] = field(default_factory=dict)
    files: tuple[Path, ...] = ()

    def error(self, path: str, message: str) -> ConfigError:
        """Return an error about the setting `path`, at its position or that of the nearest section around it."""
        at = self.where(path)
        return ConfigError(file=at.file, line=at.line, column=at.column, path=path, message=message)

    def where(self, path: str) -> Mark:
        """Return where `path` stands, or the nearest section around it."""
        while path:
            if path in self.marks:
                return self.marks[path]
            path = path.rpartition("[")[0] if path.endswith("]") else path.rpartition(".")[0]
        return Mark(str(self.files[0]) if self.files else "", 1, 1)


def load(main: Path, kind: type[T], drop_ins: Path | None = None) -> T:
    """Return the settings in `main` with the files of the folder `drop_ins` over it; raises `ConfigErrors` with all that is wrong.

    Without `drop_ins` the folder beside `main` with the same stem and the suffix `.d` is used.
    """
    return explain(main, kind, drop_ins).value


def explain(main: Path, kind: type[T], drop_ins: Path | None = None) -> Loaded[T]:
    """Like `load`, and say where every value came from."""
    files = (main, *_drop_ins(main.with_suffix(".d") if drop_ins is None else drop_ins))
    root, errors = _read_all(files)
    if errors:
        raise ConfigErrors(errors)
    converter = Converter()
    value: Any = converter.convert(root, msgspec.inspect.type_info(kind))
    if converter.errors:
        raise ConfigErrors(converter.errors)
    return Loaded(value, converter.marks, files)


def parse(raw: bytes, kind: type[T], file: str = "settings") -> T:
    """Return the settings in `raw`, one YAML document named `file` in errors; raises `ConfigErrors`."""
    converter = Converter()
    value: T = converter.convert(yaml.parse(raw, file), msgspec.inspect.type_info(kind))
    if converter.errors:
        raise ConfigErrors(converter.errors)
    return value


def _drop_ins(folder: Path) -> tuple[Path, ...]:
    try:
        names = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise ConfigErrors([_unreadable(folder, error)]) from error
    misnamed = [path for path in names if path.suffix == ".yml"]
    if misnamed:
        raise ConfigErrors([_at_start(path, f"is not read; rename it to {path.stem}.yaml") for path in misnamed])
    return tuple(path for path in names if path.suffix == ".yaml")


def _read_all(files: tuple[Path, ...]) -> tuple[Node, list[ConfigError]]:
    root: Node = Mapping({}, Mark(str(files[0]), 1, 1))
    errors: list[ConfigError] = []
    for path in files:
        try:
            node = yaml.read(path)
        except OSError as error:
            errors.append(_unreadable(path, error))
            continue
        except ConfigErrors as error:
            errors.extend(error.items)
            continue
        if not isinstance(node, Mapping):
            what = "a single value" if isinstance(node, Scalar) else "a list"
            at = node.mark
            message = f"{what} stands where settings (name: value) belong"
            errors.append(ConfigError(file=at.file, line=at.line, column=at.column, path="", message=message))
            continue
        root = merge(root, node)
    return root, errors


def _unreadable(path: Path, error: OSError) -> ConfigError:
    reason = (error.strerror or str(error)).lower()
    advice = {
        FileNotFoundError: "name another with -c, or write it with `holdfast config sample`",
        PermissionError: "run as root or as a user who may read it",
    }.get(type(error), "check that it is a readable file")
    return _at_start(path, f"cannot be read: {reason}; {advice}")


def _at_start(path: Path, message: str) -> ConfigError:
    return ConfigError(file=str(path), line=1, column=1, path="", message=message)
