"""A mail message as it comes, line by line: header fields, MIME parts one inside the other, files decoded (RFC 5322, 2045 to 2047)."""

import base64
import binascii
import quopri
import re
from collections.abc import Callable
from typing import Final

from collectors.traffic.protocols.news import File

MAX_LINE: Final = 998
MAX_ENCODED_LINE: Final = 76
MAX_NAME: Final = 76
MAX_VALUE: Final = 2000
MAX_DEPTH: Final = 16
MAX_URLS: Final = 256
MAX_HEADERS: Final = 512
MAX_HELD: Final = 65_536
MAX_BOUNDARY: Final = 70

_PARAMETER: Final = re.compile(
    rb'[;\s]\s*(filename|name|boundary)\*?(?:\d+\*?)?\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^\s;"]+))', re.IGNORECASE
)
_URL: Final = re.compile(rb"(?:https?|ftp)://[^\s<>\"']{1,2048}", re.IGNORECASE)
_JUNK: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_WORD: Final = re.compile(rb"=\?[^?]{1,40}\?([BbQq])\?([^?]*)\?=")

FIELDS: Final = ("from", "to", "cc", "subject", "date", "message-id", "x-mailer")


def parameter(value: bytes, *names: bytes) -> bytes | None:
    """Return the first of the named parameters of a structured field, or None."""
    for found in _PARAMETER.finditer(value):
        if found[1].lower() in names:
            return found[2] if found[2] is not None else found[3]
    return None


def decode_words(text: bytes) -> bytes:
    """Undo encoded words (RFC 2047) in a file name."""

    def one(found: "re.Match[bytes]") -> bytes:
        if found[1] in b"bB":
            try:
                return base64.b64decode(found[2] + b"==")
            except binascii.Error:
                return found[0]
        return quopri.decodestring(found[2], header=True)

    return _WORD.sub(one, text)


class Message:
    """One message. `line` takes its lines without their ends; `open_file` makes the files; `event` is told what is wrong."""

    def __init__(self, open_file: Callable[[bytes], File], event: Callable[[str], None]) -> None:
        self.fields: dict[str, list[bytes]] = {}
        self.urls: list[bytes] = []
        self._open_file = open_file
        self._event = event
        self._boundaries: list[bytes] = []
        self._in_header = True
        self._top = True
        self._field = b""
        self._part: dict[str, bytes] = {}
        self._count = 0
        self._file: File | None = None
        self._encoding = b""
        self._held = b""
        self._first_line = True

    def line(self, line: bytes) -> None:
        """Take a line."""
        if len(line) > MAX_LINE:
            self._event("mime_long_line")
        if self._boundaries and line.startswith(b"--") and self._boundary(line):
            return
        if self._in_header:
            self._header_line(line)
        else:
            self._body_line(line)

    @property
    def takes_blocks(self) -> bool:
        """Return whether lines may come together (`block`): inside the body of a base64 part."""
        return not self._in_header and self._encoding == b"base64"

    def block(self, lines: bytes) -> None:
        """Take many lines with their ends, none of which begins with a dash or a dot."""
        clean = lines.translate(None, b"\r\n")
        if max(map(len, lines.splitlines()), default=0) > MAX_ENCODED_LINE + 4:
            self._event("mime_long_enc_line")
        self._base64_text(clean)

    def end(self) -> None:
        """Hear that the message is over."""
        if self._in_header:
            self._end_field()
        self._end_part(bool(self._boundaries) and not self._top)

    def held(self) -> int:
        """Return about how many bytes are kept of it beside its files."""
        fields = sum(len(value) for values in self.fields.values() for value in values)
        part = sum(len(value) for value in self._part.values())
        return fields + part + sum(map(len, self.urls)) + len(self._field) + len(self._held)

    def _boundary(self, line: bytes) -> bool:
        text = line.rstrip()
        for depth in range(len(self._boundaries) - 1, -1, -1):
            mark = b"--" + self._boundaries[depth]
            if text == mark:
                self._end_part(False)
                del self._boundaries[depth + 1 :]
                self._in_header, self._part, self._top = True, {}, False
                return True
            if text == mark + b"--":
                self._end_part(False)
                del self._boundaries[depth:]
                self._part = {}
                self._in_header = False
                return True
        return False

    def _header_line(self, line: bytes) -> None:
        if not line:
            self._end_field()
            self._in_header = False
            self._begin_body()
        elif line[:1] in b" \t" and self._field:
            if len(self._field) < 4 * MAX_VALUE:
                self._field += b" " + line.strip()
        else:
            self._end_field()
            self._field = line

    def _end_field(self) -> None:
        field, self._field = self._field, b""
        if not field:
            return
        name, colon, value = field.partition(b":")
        if not colon:
            self._event("mime_malformed_msg")
            return
        value = value.strip()
        if len(name) > MAX_NAME:
            self._event("mime_long_header_name")
        if len(value) > MAX_VALUE:
            self._event("mime_long_header_value")
        self._count += 1
        if self._count > MAX_HEADERS:
            return
        key = name.strip().lower().decode("latin-1")
        if self._top:
            self.fields.setdefault(key, []).append(value[: 4 * MAX_VALUE])
        self._part.setdefault(key, value)

    def _begin_body(self) -> None:
        kind = self._part.get("content-type", b"")
        self._encoding = self._part.get("content-transfer-encoding", b"").lower().strip()
        if kind.lower().startswith(b"multipart/"):
            boundary = parameter(b";" + kind, b"boundary")
            if boundary:
                if len(boundary) > MAX_BOUNDARY:
                    self._event("mime_long_boundary")
                if len(self._boundaries) < MAX_DEPTH:
                    self._boundaries.append(boundary)
            return
        name = parameter(b";" + self._part.get("content-disposition", b""), b"filename") or parameter(
            b";" + kind, b"name"
        )
        if (
            kind.lower().startswith(b"message/rfc822")
            and not name
            and self._encoding not in (b"base64", b"quoted-printable")
        ):
            # A message inside the message: its own header comes next.
            self._in_header, self._part = True, {}
            return
        if name:
            name = decode_words(name)
            if len(name) > 255:
                self._event("mime_long_filename")
            self._file = self._open_file(name[:255])
            self._first_line = True

    def _body_line(self, line: bytes) -> None:
        if self._encoding == b"base64":
            self._base64(line)
        elif self._encoding == b"quoted-printable":
            self._quoted(line)
        elif self._file is not None:
            # A line's end belongs to what follows: the one before a boundary is not the file's.
            self._give(line if self._first_line else b"\r\n" + line)
            self._first_line = False
        else:
            self._text(line)

    def _base64(self, line: bytes) -> None:
        if len(line) > MAX_ENCODED_LINE + 4:
            self._event("mime_long_enc_line")
        self._base64_text(line.rstrip())

    def _base64_text(self, text: bytes) -> None:
        clean = text.translate(None, _JUNK)
        if len(clean) != len(text):
            self._event("mime_invalid_base64")
        held = self._held + clean
        whole = len(held) - len(held) % 4
        self._held = held[whole:]
        if whole:
            try:
                data = base64.b64decode(held[:whole])
            except binascii.Error:
                self._event("mime_invalid_base64")
                return
            if self._file is not None:
                self._file.add(data)
            else:
                self._text(data)

    def _quoted(self, line: bytes) -> None:
        if len(line) > MAX_ENCODED_LINE + 4:
            self._event("mime_long_enc_line")
        soft = line.endswith(b"=")
        text = line[:-1] if soft else line
        if re.search(rb"=(?![0-9A-Fa-f]{2})", text):
            self._event("mime_invalid_qp")
        data = quopri.decodestring(text)
        if not soft:
            data += b"\r\n"
        if self._file is not None:
            self._file.add(data)
        else:
            self._text(data)

    def _give(self, data: bytes) -> None:
        if self._file is not None:
            self._file.add(data)

    def _text(self, data: bytes) -> None:
        if len(self.urls) < MAX_URLS and b"://" in data:
            self.urls += [url.partition(b"://")[2] for url in _URL.findall(data)]

    def _end_part(self, cut: bool) -> None:
        if self._held and self._file is not None:
            try:
                self._file.add(base64.b64decode(self._held + b"=" * (-len(self._held) % 4)))
            except binascii.Error:
                self._event("mime_invalid_base64")
        self._held = b""
        if self._file is not None:
            self._file.close(cut)
            self._file = None
        self._encoding = b""
