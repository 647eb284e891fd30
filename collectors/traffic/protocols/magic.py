"""What kind of file bytes are, in the words of file(1): libmagic, called directly, for rules that ask (`filemagic`, `file.magic`)."""

import ctypes
from functools import cache
from typing import Final

LOOKED_AT: Final = 4096
"""Bytes of a file's beginning that are looked at: more would let hostile text take a tenth of a second each."""
LEAST: Final = 512
"""Bytes of a file that is still open from which it is looked at, as in Suricata: less may look like something else."""
_REGEX_MAX: Final = 5
_REGEX_BYTES: Final = 256
"""MAGIC_PARAM_REGEX_MAX (libmagic(3)), and how many bytes an expression looks through here; 8,192 take 300 ms for empty lines."""


def describe(data: bytes) -> bytes:
    """Return file(1)'s words for what `data` begins with; b"" when libmagic is not there or cannot say."""
    library, cookie = _loaded()
    if library is None or not data:
        return b""
    piece = data[:LOOKED_AT]
    return library.magic_buffer(cookie, piece, len(piece)) or b""


def load_library() -> bool:
    """Load libmagic and its list of kinds now, for who cannot open files later; False where they are not installed."""
    return _loaded()[0] is not None


@cache
def _loaded() -> tuple[ctypes.CDLL | None, int]:
    try:
        library = ctypes.CDLL("libmagic.so.1")
    except OSError:
        return None, 0
    library.magic_open.restype = ctypes.c_void_p
    library.magic_buffer.restype = ctypes.c_char_p
    library.magic_buffer.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
    library.magic_load.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    library.magic_setparam.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    cookie = library.magic_open(0)
    if not cookie or library.magic_load(cookie, None):
        return None, 0
    size = ctypes.c_size_t(_REGEX_BYTES)
    library.magic_setparam(cookie, _REGEX_MAX, ctypes.byref(size))
    return library, cookie
