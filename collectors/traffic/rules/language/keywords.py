"""Every keyword of the language, from the files of the keyword families."""

from collectors.traffic.rules.language import (
    app_keywords,
    buffer_keywords,
    byte_keywords,
    content_keywords,
    file_keywords,
    flow_keywords,
    meta_keywords,
    packet_keywords,
    pcre_keywords,
)
from collectors.traffic.rules.language.keyword import Keyword

FAMILIES = (
    meta_keywords,
    content_keywords,
    pcre_keywords,
    byte_keywords,
    buffer_keywords,
    flow_keywords,
    packet_keywords,
    app_keywords,
    file_keywords,
)


def _table() -> dict[str, Keyword]:
    table: dict[str, Keyword] = {}
    for family in FAMILIES:
        table |= family.KEYWORDS
    return table


KEYWORDS: dict[str, Keyword] = _table()
"""Keyword -> how it is read. Keywords are compared in lower case."""
