"""Picks files out of the book by a nonce, so that nobody knows beforehand which ones are asked for."""

import stat
from hashlib import sha256

from collectors.integrity.book import Book

TRIES = 20
"""Folders that are tried for each file wanted: many hold none."""
MOST_BYTES = 64 << 20
"""Larger files are not picked: a proof reads them whole."""


def pick(book: Book, nonce: bytes, count: int) -> list[bytes]:
    """Return up to `count` paths of regular files, the same for the same book and nonce."""
    found: dict[bytes, None] = {}
    for number in range(count * TRIES):
        if len(found) >= count:
            break
        draw = sha256(nonce + number.to_bytes(4, "big")).digest()
        folder = book.nth(int.from_bytes(draw[:8], "big"))
        if folder is None:
            break
        files = [node for node in book.known(folder) if stat.S_ISREG(node.mode) and node.size <= MOST_BYTES]
        if folder and files:
            node = files[int.from_bytes(draw[8:16], "big") % len(files)]
            found[folder.rstrip(b"/") + b"/" + node.name] = None
    return list(found)
