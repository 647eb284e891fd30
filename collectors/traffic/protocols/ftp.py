"""FTP: commands with their replies, and the data connections that they announce."""

import re
from typing import Final

from collectors.traffic.protocols.news import Conversation, Fields, File, Transaction, begun_digests
from collectors.traffic.protocols.parser import MOST_SPARED, Facts, Limits, Parser

MAX_LINE: Final = 4096
MAX_OPEN: Final = 1024
"""Commands without a reply that are remembered (Suricata's stock `max-tx`)."""

_SIX: Final = re.compile(rb"(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3})")
_EXTENDED: Final = re.compile(rb"(.)\1\1(\d{1,5})\1")
_EPRT: Final = re.compile(rb"(.)([12])\1([^|]{2,45})\1(\d{1,5})\1")


class FtpParser(Parser):
    """Reads a control connection."""

    protocol = "ftp"

    def __init__(self, conversation: Conversation, facts: Facts, limits: Limits) -> None:
        super().__init__(conversation, facts, limits)
        self._waiting = [b"", b""]
        self._dead = [False, False]
        self._skipping = [False, False]
        self._open: list[Fields] = []
        self._greeting: Fields | None = None
        self._last: Fields | None = None
        self._announced: tuple[tuple[int, int], int] | None = None

    def data(self, to_client: bool, data: bytes, gap: int) -> None:
        """Take bytes of one side."""
        if gap:
            self._dead[to_client] = True
        if self._dead[to_client]:
            return
        waiting = self._waiting[to_client] + data
        at = 0
        while True:
            end = waiting.find(b"\n", at)
            if end < 0:
                break
            line, at = waiting[at:end].rstrip(b"\r"), end + 1
            if self._skipping[to_client]:
                self._skipping[to_client] = False
                continue
            if len(line) > MAX_LINE:
                self._long(to_client, line)
            elif to_client:
                self._reply(line)
            else:
                self._command(line)
            if self.next_protocol:
                self.rest = waiting[at:]
                return
        if len(waiting) - at > MAX_LINE:
            if not self._skipping[to_client]:
                self._long(to_client, waiting[at:])
            self._skipping[to_client] = True
            at = len(waiting)
        self._waiting[to_client] = waiting[at:]

    def unread(self) -> int:
        """Return how many bytes wait for those behind them."""
        return len(self._waiting[0]) + len(self._waiting[1])

    def stop(self) -> list[tuple[Transaction, bool]]:
        """End the oldest of many commands that have no reply."""
        found: list[tuple[Transaction, bool]] = []
        for tx in self._open[:-MOST_SPARED]:
            tx.done = True
            tx.event("too_many_transactions", False)
            found.append((tx, False))
        self._open = self._open[-MOST_SPARED:]
        return found

    def end(self, to_client: bool) -> None:
        """Hear that one side says no more."""
        if to_client:
            for tx in self._open:
                tx.done = True
                self.touch(tx)
            self._open.clear()

    def _long(self, to_client: bool, line: bytes) -> None:
        if to_client:
            self._reply(line[:MAX_LINE])
            tx = self._open[0] if self._open else self._last
            if tx is not None:
                tx.event("response_command_too_long", True)
                self.touch(tx)
        else:
            tx = self._command(line[:MAX_LINE])
            tx.event("request_command_too_long", False)

    def _command(self, line: bytes) -> Fields:
        word, _, rest = line.partition(b" ")
        tx = self.fields()
        tx.set("ftp.command", False, word)
        if rest:
            tx.set("ftp.command_data", False, rest)
        tx.number_is("ftp.reply_received", False, 0)
        tx.request = 1
        if len(self._open) >= MAX_OPEN:
            first = self._open.pop(0)
            first.done = True
            tx.event("too_many_transactions", False)
            self.touch(first)
        self._open.append(tx)
        self._port(tx, word.upper(), rest)
        self.touch(tx)
        return tx

    def _port(self, tx: Fields, word: bytes, rest: bytes) -> None:
        if word == b"PORT" and (found := _SIX.search(rest)):
            numbers = [int(number) & 255 for number in found.groups()]
            address = (0, int.from_bytes(bytes(numbers[:4])))
            port = numbers[4] << 8 | numbers[5]
            if self.facts.family == 4:
                tx.number_is("ftpbounce", False, int(address != self.facts.client))
            self._dynamic(tx, False, self.facts.client, port, False)
        elif word == b"EPRT" and (extended := _EPRT.search(rest)):
            self._dynamic(tx, False, self.facts.client, int(extended[4]) & 0xFFFF, False)
        elif word in (b"RETR", b"STOR", b"STOU", b"APPE") and self._announced is not None:
            address, port = self._announced
            self.expected.append((address, port, "ftp-data", (word == b"RETR", rest)))

    def _dynamic(self, tx: Fields, to_client: bool, address: tuple[int, int], port: int, passive: bool) -> None:
        self._announced = (address, port)
        tx.number_is("ftp.mode", to_client, int(passive))
        tx.number_is("ftp.dynamic_port", to_client, port)

    def _reply(self, line: bytes) -> None:
        final = line[:3].isdigit() and line[3:4] != b"-"
        if not self._open:
            if self._greeting is None and self._last is None:
                self._greeting = tx = self.fields()
                tx.request = 1
            elif self._greeting is not None and not self._greeting.done:
                tx = self._greeting
            elif self._last is not None:
                # A second reply to the last command (150, then 226).
                tx = self._last
            else:
                return
        else:
            tx = self._open[0]
        code = line[:3] if line[:3].isdigit() else b""
        if code:
            tx.add("ftp.completion_code", True, code)
            tx.add("ftp.reply", True, line[4:])
        else:
            tx.add("ftp.reply", True, line)
        # A preliminary reply (150) is none yet, as in Suricata: another one follows.
        if not tx.done:
            tx.number_becomes("ftp.reply_received", True, int(code[:1] != b"1" or not final))
        if code in (b"227", b"229"):
            self._passive(tx, code, line)
        self.touch(tx)
        if final and code[:1] != b"1":
            self._finish(tx, code)

    def _passive(self, tx: Fields, code: bytes, line: bytes) -> None:
        if code == b"227" and (found := _SIX.search(line)):
            port = (int(found[5]) & 255) << 8 | int(found[6]) & 255
            self._dynamic(tx, True, self.facts.server, port, True)
        elif code == b"229" and (extended := _EXTENDED.search(line)):
            self._dynamic(tx, True, self.facts.server, int(extended[2]) & 0xFFFF, True)

    def _finish(self, tx: Fields, code: bytes) -> None:
        tx.response = 1
        tx.done = True
        self._last = tx
        if tx in self._open:
            self._open.remove(tx)
        word = tx.buffers("ftp.command", False)
        if word and word[0].upper() == b"AUTH" and code == b"234":
            self.next_protocol = "tls"


class FtpDataParser(Parser):
    """Reads a data connection: one file."""

    protocol = "ftp-data"

    def __init__(self, conversation: Conversation, facts: Facts, limits: Limits) -> None:
        super().__init__(conversation, facts, limits)
        self._tx: Fields | None = None
        self._file: File | None = None

    def data(self, to_client: bool, data: bytes, gap: int) -> None:
        """Take bytes of the file."""
        if self._tx is None:
            self._tx = self.fields()
            retrieved, name = self.expectation if self.expectation is not None else (to_client, b"")
            self._tx.set("ftpdata_command", to_client, b"retr" if retrieved else b"stor")
            digests = begun_digests(self.limits.hash_files)
            self._file = File(to_client, name, limit=self.limits.file_bytes, digests=digests)
            self._tx.files.append(self._file)
        if self._file is not None and self._file.to_client == to_client:
            self._file.truncated = self._file.truncated or gap > 0
            self._file.add(data)
            self.touch(self._tx)

    def end(self, to_client: bool) -> None:
        """Hear that one side says no more."""
        if self._tx is not None and self._file is not None and self._file.to_client == to_client:
            self._file.close()
            self._tx.request = self._tx.response = 1
            self._tx.done = True
            self.touch(self._tx)
