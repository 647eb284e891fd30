"""Makes text from elsewhere safe to read: what would be invisible, reorder the line or flood the page is shown or cut.

HTML escaping is the templates' work (autoescape); this is about what a reader would be deceived by although it is
escaped: control characters, right-to-left overrides, zero-width characters, towers of combining marks, names of a megabyte.
"""

import unicodedata
from typing import Any

from markupsafe import Markup

MAX_CHARACTERS = 4000
MAX_MARKS = 3
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_KEPT = frozenset("\n\t")


def visible(text: str, limit: int = MAX_CHARACTERS) -> str:
    """Return `text` with every hidden character written as `⟨U+202E⟩` and at most `limit` characters of it."""
    rest = len(text) - limit
    if rest > 0:
        text = text[:limit]
    if not text.isascii() or not text.isprintable():
        text = "".join(_shown(text))
    return f"{text}… ({rest} more characters)" if rest > 0 else text


def finalize(value: Any) -> Any:
    """What the templates do with every value they print: markup made by our own templates stays, text is made visible."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return visible(value)


def _shown(text: str) -> list[str]:
    out: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > MAX_MARKS:
            continue
        hidden = category in _HIDDEN and character not in _KEPT
        out.append(f"⟨U+{ord(character):04X}⟩" if hidden else character)
    return out
