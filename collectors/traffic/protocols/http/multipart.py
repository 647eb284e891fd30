"""Forms with files (multipart/form-data, RFC 7578), as they come."""

import re
from collections.abc import Callable
from typing import Final

from collectors.traffic.protocols.news import File

_BOUNDARY: Final = re.compile(
    rb'multipart/form-data.*?;\s*boundary=(?:"([^"]{1,200})"|([^\s;,"]{1,200}))', re.IGNORECASE | re.DOTALL
)
_FILE_NAME: Final = re.compile(rb'(?:^|[;\s])filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;\s]+))', re.IGNORECASE)

MAX_HEADER: Final = 8_192
MAX_NAME: Final = 255


def boundary_of(content_type: bytes) -> bytes | None:
    """Return the boundary of a form's content type, or None."""
    found = _BOUNDARY.search(content_type)
    return (found[1] or found[2]) if found is not None else None


def file_name_of(disposition: bytes) -> bytes | None:
    """Return the file name of a Content-Disposition, or None."""
    found = _FILE_NAME.search(disposition)
    if found is None:
        return None
    return (found[1] if found[1] is not None else found[2])[:MAX_NAME]


class Multipart:
    """Cuts a form's body into parts and hands their files on; `events` collects what was wrong."""

    def __init__(self, boundary: bytes, open_file: Callable[[bytes], File]) -> None:
        self.events: list[str] = []
        self._mark = b"--" + boundary
        self._open = open_file
        self._buffer = b""
        self._file: File | None = None
        self._in_part = False
        self._in_header = False
        self._over = False

    def feed(self, data: bytes) -> None:
        """Take bytes of the body."""
        if self._over:
            return
        self._buffer += data
        while self._step():
            pass

    def close(self) -> None:
        """Take what is left as all there will be."""
        if self._file is not None:
            self._file.add(self._buffer)
            self._end_file(True)
        self._over = True

    def _step(self) -> bool:
        if self._in_header:
            return self._header()
        at = self._buffer.find(self._mark)
        if at < 0:
            self._drain(len(self._buffer) - len(self._mark) - 2)
            return False
        behind = self._buffer[at + len(self._mark) : at + len(self._mark) + 2]
        if len(behind) < 2:
            return False
        content = self._buffer[:at]
        if content.endswith(b"\r\n"):
            content = content[:-2]
        elif content.endswith(b"\n"):
            content = content[:-1]
        if self._file is not None:
            self._file.add(content)
            self._end_file(False)
        self._buffer = self._buffer[at + len(self._mark) :]
        if behind == b"--":
            self._over = True
            self._buffer = b""
            return False
        line = self._buffer.find(b"\n")
        if line < 0:
            return False
        self._buffer = self._buffer[line + 1 :]
        self._in_header = True
        return True

    def _drain(self, count: int) -> None:
        """Hand on what cannot be part of a boundary."""
        if count <= 0:
            return
        if self._file is not None:
            self._file.add(self._buffer[:count])
        self._buffer = self._buffer[count:]

    def _header(self) -> bool:
        for end_mark in (b"\r\n\r\n", b"\n\n"):
            end = self._buffer.find(end_mark)
            if end >= 0:
                break
        if self._buffer.startswith((b"\r\n", b"\n")):
            end, end_mark = 0, b"\r\n" if self._buffer[:1] == b"\r" else b"\n"
        if end < 0:
            if len(self._buffer) > MAX_HEADER:
                self._note("multipart_invalid_header")
                self._over = True
                self._buffer = b""
            return False
        header, self._buffer = self._buffer[:end], self._buffer[end + len(end_mark) :]
        self._in_header = False
        for line in header.splitlines():
            name, colon, value = line.partition(b":")
            if not colon:
                self._note("multipart_invalid_header")
            if name.strip().lower() == b"content-disposition":
                file_name = file_name_of(value)
                if file_name:
                    if len(file_name) >= MAX_NAME:
                        self._note("file_name_too_long")
                    self._file = self._open(file_name)
        return True

    def _end_file(self, cut: bool) -> None:
        if self._file is not None:
            if not self._file.size:
                self._note("multipart_no_filedata")
            self._file.close(cut)
            self._file = None

    def _note(self, name: str) -> None:
        if name not in self.events:
            self.events.append(name)
