"""A Markdown page that describes every setting of a type: one table per section."""

from collections.abc import Iterator

from msgspec import inspect as mi

from settings import phrase
from settings.convert import default_of, has_default, join, unwrap


def reference(kind: type, title: str, intro: str) -> str:
    """Return the page for settings of type `kind` under the heading `title`; `intro` is its first paragraph."""
    struct, _ = unwrap(mi.type_info(kind))
    assert isinstance(struct, mi.StructType)
    return "\n".join([f"# {title}", "", intro, *_section(struct, struct.fields, "")]) + "\n"


def _section(struct: mi.StructType, fields: tuple[mi.Field, ...], path: str) -> Iterator[str]:
    rows = [field for field in fields if not isinstance(unwrap(field.type)[0], mi.StructType)]
    if path:
        yield from ("", f"## `{path}`", "", phrase.about(struct))
    if rows:
        yield from ("", "| setting | type | default | meaning |", "|---|---|---|---|")
    for field in rows:
        yield _row(field)
    for field in fields:
        yield from _inner(field, join(path, field.encode_name))


def _row(field: mi.Field) -> str:
    default = f"`{phrase.written(default_of(field), field.type)}`" if has_default(field) else "required"
    examples = "".join(f" For example `{phrase.written(example)}`." for example in phrase.examples_of(field.type))
    cells = (
        f"`{field.encode_name}`",
        phrase.kind_of(field.type),
        default,
        phrase.description_of(field.type) + examples,
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _inner(field: mi.Field, path: str) -> Iterator[str]:
    """Describe a section, or the items of a list or map of sections, on its own."""
    plain, _ = unwrap(field.type)
    if isinstance(plain, mi.StructType):
        yield from _section(plain, phrase.settings_of(field), path)
        return
    inner = getattr(plain, "item_type", None) or getattr(plain, "value_type", None)
    item = unwrap(inner)[0] if inner is not None else None
    if isinstance(item, mi.StructType):
        yield from _section(item, item.fields, path + ("[]" if hasattr(plain, "item_type") else ".<name>"))
