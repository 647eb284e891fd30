"""A commented sample file from the types: every setting with what it means, its unit and its default, all commented out.

Removing the `#` that stands right before a name switches that one line on; prose has a space after its `#`. As written the file
means exactly the defaults, and so it does with every setting switched on.
"""

import textwrap
from collections.abc import Iterator

from msgspec import inspect as mi

from settings import phrase
from settings.convert import default_of, has_default, unwrap

_WIDTH = 100
_HEAD = (
    'Every setting is shown with its default. To change one, remove the "#" right before its name and write the value after it. '
    "Files in the folder {stem}.d ending in .yaml are laid over this one in the order of their names."
)


def sample(kind: type, title: str, stem: str) -> str:
    """Return the sample file for settings of type `kind`, which will be named `stem`.yaml; `title` is its first line."""
    struct, _ = unwrap(mi.type_info(kind))
    assert isinstance(struct, mi.StructType)
    lines = [*_prose(title, ""), "#", *_prose(_HEAD.format(stem=stem), ""), *_section(struct.fields, "", blank=True)]
    return "\n".join(lines) + "\n"


def uncommented(text: str) -> str:
    """Return a sample file with every setting switched on."""
    lines = text.splitlines()
    return "\n".join(_switched_on(line) for line in lines) + "\n"


def _switched_on(line: str) -> str:
    bare = line.lstrip(" ")
    return line[: len(line) - len(bare)] + bare[1:] if bare[:1] == "#" and bare[1:2] not in {"", " "} else line


def _section(fields: tuple[mi.Field, ...], indent: str, *, blank: bool) -> Iterator[str]:
    for field in fields:
        if blank:
            yield ""
        yield from _field(field, indent)


def _field(field: mi.Field, indent: str) -> Iterator[str]:
    plain, _ = unwrap(field.type)
    yield from _prose(_explained(field.type), indent)
    if isinstance(plain, mi.StructType):
        if plain.fields:
            yield f"{indent}{field.encode_name}:"
            yield from _section(phrase.settings_of(field), indent + "  ", blank=False)
        return
    yield from _items(plain, indent)
    for example in phrase.examples_of(field.type):
        yield from _prose(f"For example: {field.encode_name}: {phrase.written(example)}", indent)
    if has_default(field):
        yield f"{indent}#{field.encode_name}: {phrase.written(default_of(field), field.type)}"
    else:
        yield from _prose(f"Required: {field.encode_name}: …", indent)


def _explained(kind: mi.Type) -> str:
    plain, _ = unwrap(kind)
    described = phrase.description_of(kind)
    return described if isinstance(plain, mi.StructType) else f"{described} ({phrase.kind_of(kind)})".strip()


def _items(plain: mi.Type, indent: str) -> Iterator[str]:
    """Describe the fields of a list's or map's items."""
    inner = getattr(plain, "item_type", None) or getattr(plain, "value_type", None)
    item = unwrap(inner)[0] if inner is not None else None
    if not isinstance(item, mi.StructType):
        return
    yield f"{indent}# Each has:"
    for field in item.fields:
        default = f"default {phrase.written(default_of(field), field.type)}" if has_default(field) else "required"
        words = f"{field.encode_name}: {phrase.description_of(field.type)} ({phrase.kind_of(field.type)}; {default})"
        yield from _prose(words, indent, hang="  ")


def _prose(text: str, indent: str, hang: str = "") -> list[str]:
    start = f"{indent}# {hang}"
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=start,
        subsequent_indent=start + hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
