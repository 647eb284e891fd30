"""A settings file as a tree of text with positions: what stands between YAML and typed values, knowing neither."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something begins; counted from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """Text as written. `plain` when it stood without quotes and not as a block, so that it may mean a number or nothing."""

    text: str
    plain: bool
    mark: Mark

    @property
    def empty(self) -> bool:
        """Whether nothing was written, or one of YAML's words for nothing."""
        return self.plain and self.text in {"", "~", "null", "Null", "NULL"}


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple["Node", ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Mapping:
    """Names and values in the order written; `keys` holds where each name stands."""

    entries: dict[str, "Node"]
    mark: Mark
    keys: dict[str, Mark] = field(default_factory=dict)


Node = Scalar | Sequence | Mapping


def merge(below: Node, above: Node) -> Node:
    """Lay `above` over `below`: mappings merge name by name, anything else is replaced. Positions stay with what is kept."""
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    entries = dict(below.entries)
    keys = dict(below.keys)
    for name, node in above.entries.items():
        entries[name] = merge(entries[name], node) if name in entries else node
        keys[name] = above.keys[name]
    return Mapping(entries, below.mark, keys)
