"""Importing ahead of time what would otherwise be imported when a privilege-dropped process can no longer read this program's files."""

import codecs
import importlib
import importlib.util
from collections.abc import Sequence

# What the standard library and msgspec import on first use, in code that workers reach.
LAZY = (
    "_strptime",
    "bz2",
    "contextlib",
    "datetime",
    "decimal",
    "fnmatch",
    "grp",
    "ipaddress",
    "json",
    "linecache",
    "locale",
    "lzma",
    "pwd",
    "random",
    "selectors",
    "stringprep",
    "subprocess",
    "tempfile",
    "tokenize",
    "traceback",
    "typing",
    "uuid",
    "zlib",
    "zoneinfo",
)
ENCODINGS = ("ascii", "idna", "latin-1", "punycode", "unicode_escape", "utf-8", "utf-8-sig", "utf-16", "utf-16-le")


def preload(modules: Sequence[str] = ()) -> None:
    """Import everything a worker will need, and `modules`; raises `ImportError` for one of `modules` that does not exist."""
    for name in LAZY:
        if importlib.util.find_spec(name) is not None:  # some Pythons are built without bz2 or lzma
            importlib.import_module(name)
    for encoding in ENCODINGS:
        codecs.lookup(encoding)
    for name in modules:
        importlib.import_module(name)
