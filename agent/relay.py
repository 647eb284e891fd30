"""The relay: serves ClamAV's signed databases out of one folder, read-only, to the freshclam of other hosts (`PrivateMirror`).

Files pass through unchanged, and every freshclam checks the signature itself; so nothing is served that bears none: no CLD (made from
differences), no CUD, nothing of third parties. The signatures beside them (`daily-27695.cvd.sign`, ClamAV 1.5) pass through, too.
Plain HTTP, as mirrors of ClamAV are: whoever is on the way can withhold or hold back, which shows as age, and cannot forge.
"""

import http.server
import os
import re
import stat
import threading
from email.utils import formatdate, parsedate_to_datetime

from contracts.errors import HoldfastError

NAME = re.compile(r"/(main|daily|bytecode)\.cvd")
SIGNATURE = re.compile(r"/(main|daily|bytecode)-[0-9]{1,12}\.cvd\.sign")
_MOST_OF_A_SIGNATURE = 1 << 20
AT_ONCE = 32
TIMEOUT_S = 60.0
_HEAD = 512
_CHUNK = 1 << 18
_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{0,15})")


class NotServed(HoldfastError):
    """The relay cannot serve."""


class Relay(http.server.ThreadingHTTPServer):
    """Serves one folder."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, folder: str) -> None:
        """Listen; raises `NotServed`."""
        self.folder = folder
        self.places = threading.BoundedSemaphore(AT_ONCE)
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            raise NotServed(f"{host}:{port}: {said}", advice="choose another address with --listen") from error


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Relay
    timeout = TIMEOUT_S
    server_version = "Holdfast"
    sys_version = ""
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:  # http.server's name
        """Answer without the content."""
        self._answer(with_body=False)

    def do_GET(self) -> None:
        """Answer."""
        self._answer(with_body=True)

    def log_message(self, *_: object) -> None:
        """Say nothing: whoever asks is no event."""

    def _answer(self, *, with_body: bool) -> None:
        if not self.server.places.acquire(blocking=False):
            self._refuse(503)
            return
        try:
            descriptor = self._opened()
            if descriptor < 0:
                self._refuse(404)
                return
            try:
                self._send(descriptor, with_body)
            finally:
                os.close(descriptor)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True
        finally:
            self.server.places.release()

    def _opened(self) -> int:
        """The database that is asked for, open; -1 for anything else, and for one without a signature."""
        is_signature = SIGNATURE.fullmatch(self.path) is not None
        if not NAME.fullmatch(self.path) and not is_signature:
            return -1
        try:
            descriptor = os.open(
                self.server.folder + self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            )
        except OSError:
            return -1
        found = os.fstat(descriptor)
        if is_signature and stat.S_ISREG(found.st_mode) and found.st_size <= _MOST_OF_A_SIGNATURE:
            return descriptor
        fields = os.pread(descriptor, _HEAD, 0).split(b":") if stat.S_ISREG(found.st_mode) else []
        if len(fields) == 9 and fields[0] == b"ClamAV-VDB" and len(fields[6]) > 1:
            return descriptor
        os.close(descriptor)
        return -1

    def _send(self, descriptor: int, with_body: bool) -> None:
        found = os.fstat(descriptor)
        if self._known(found.st_mtime):
            self.send_response(304)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        first, end = self._range(found.st_size)
        self.send_response(206 if (first, end) != (0, found.st_size) else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(end - first))
        self.send_header("Last-Modified", formatdate(found.st_mtime, usegmt=True))
        if (first, end) != (0, found.st_size):
            self.send_header("Content-Range", f"bytes {first}-{end - 1}/{found.st_size}")
        self.end_headers()
        while with_body and first < end and (piece := os.pread(descriptor, min(_CHUNK, end - first), first)):
            self.wfile.write(piece)
            first += len(piece)

    def _known(self, changed_s: float) -> bool:
        """Whether who asks has this one already."""
        try:
            since = parsedate_to_datetime(self.headers.get("If-Modified-Since", ""))
            return int(changed_s) <= since.timestamp()
        except (ValueError, TypeError, OverflowError):
            return False

    def _range(self, size: int) -> tuple[int, int]:
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        if asked is None:
            return 0, size
        first, last = int(asked[1]), int(asked[2] or size - 1)
        return (first, min(last + 1, size)) if first <= last and first < size else (0, size)

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
