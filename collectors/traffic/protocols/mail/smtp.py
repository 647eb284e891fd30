"""SMTP: commands, replies, and the messages between them; a transaction is a mail."""

from typing import Final

from collectors.traffic.protocols.mail.message import FIELDS, Message
from collectors.traffic.protocols.news import Conversation, Fields, File, begun_digests
from collectors.traffic.protocols.parser import Facts, Limits, Parser

MAX_LINE: Final = 4096
"""Bytes of a command or a reply without an end."""
MAX_COMMANDS: Final = 256
"""Commands without a reply that are remembered."""
MAX_FILES: Final = 64

_COMMAND: Final = 0
_DATA: Final = 1
_BDAT: Final = 2
_AUTH: Final = 3
_TLS: Final = 4


class SmtpParser(Parser):
    """Reads a connection that speaks SMTP."""

    protocol = "smtp"

    def __init__(self, conversation: Conversation, facts: Facts, limits: Limits) -> None:
        super().__init__(conversation, facts, limits)
        self._waiting = [b"", b""]
        self._dead = [False, False]
        self._mode = _COMMAND
        self._commands: list[bytes] = []
        self._greeted = False
        self._helo = b""
        self._tx: Fields | None = None
        self._message: Message | None = None
        self._left = 0
        self._partial = b""
        self._last_chunk = False
        self._skipping = [False, False]

    @property
    def tx(self) -> Fields:
        """Return the mail that is being sent, or the one that the next command would be about."""
        if self._tx is None or self._tx.done:
            self._tx = self.fields()
            if self._helo:
                self._tx.set("smtp.helo", False, self._helo)
        return self._tx

    def data(self, to_client: bool, data: bytes, gap: int) -> None:
        """Take bytes of one side."""
        if gap:
            self._dead[to_client] = True
            for file in self._tx.files if self._tx is not None else ():
                file.truncated = True
        if self._dead[to_client]:
            return
        waiting = self._waiting[to_client] + data
        at = 0
        while at < len(waiting):
            if not to_client and self._mode == _BDAT:
                at = self._bdat(waiting, at)
                continue
            if not to_client and self._mode == _DATA and self._message is not None and self._message.takes_blocks:
                at = self._block(waiting, at)
            end = waiting.find(b"\n", at)
            if end < 0:
                if len(waiting) - at > MAX_LINE:
                    self._too_long(to_client)
                    at = len(waiting)
                    self._skipping[to_client] = True
                break
            line = waiting[at:end].rstrip(b"\r")
            at = end + 1
            if self._skipping[to_client]:
                self._skipping[to_client] = False
                continue
            if to_client:
                self._reply(line)
            else:
                self._line(line)
            if self.next_protocol:
                self.rest = waiting[at:]
                return
        self._waiting[to_client] = waiting[at:]

    def unread(self) -> int:
        """Return how many bytes wait for those behind them, and what is known of the message."""
        message = self._message.held() if self._message is not None else 0
        return len(self._waiting[0]) + len(self._waiting[1]) + message

    def end(self, to_client: bool) -> None:
        """Hear that one side says no more."""
        tx = self._tx
        if tx is None or tx.done or (to_client and self._mode == _DATA):
            return
        if not to_client and self._message is not None:
            self._message.end()
            self._fields(self._message)
            self._message = None
        if to_client:
            tx.done = True
        self.touch(tx)

    def _too_long(self, to_client: bool) -> None:
        if self._mode != _DATA or to_client:
            self.tx.event("max_reply_line_len_exceeded" if to_client else "max_command_line_len_exceeded", to_client)
        else:
            self.tx.event("truncated_line", to_client)
        self.touch(self.tx)

    # The client

    def _line(self, line: bytes) -> None:
        if self._mode == _DATA:
            self._data_line(line)
            return
        if len(line) > MAX_LINE:
            self._too_long(False)
        if self._mode == _AUTH:
            self._mode = _COMMAND
            return
        self._command(line)

    def _command(self, line: bytes) -> None:
        word = line[:4].upper()
        over = self._tx is not None and self._tx.done and word in (b"RSET", b"QUIT")
        # What ends a session begins no mail, as in Suricata.
        tx = self._tx if over and self._tx is not None else self.tx
        if not self._greeted and self._commands and len(self._commands) > 3:
            tx.event("no_server_welcome_message", False)
        if word in (b"HELO", b"EHLO", b"LHLO"):
            self._helo = line[5:].strip()
            if self._helo:
                tx.set("smtp.helo", False, self._helo)
        elif line[:10].upper() == b"MAIL FROM:":
            if tx.buffers("smtp.mail_from", False):
                tx.done = True
                self.touch(tx)
                tx = self.tx
            tx.set("smtp.mail_from", False, _address(line[10:]))
        elif line[:8].upper() == b"RCPT TO:":
            tx.add("smtp.rcpt_to", False, _address(line[8:]))
        elif word == b"DATA":
            pass
        elif word == b"BDAT":
            self._begin_bdat(line)
        elif word == b"RSET":
            tx.done = True
        if len(self._commands) < MAX_COMMANDS:
            self._commands.append(line[:16].upper())
        tx.request = max(tx.request, 1)
        self.touch(tx)

    def _begin_bdat(self, line: bytes) -> None:
        parts = line.split()
        if len(parts) < 2 or not parts[1].isdigit() or len(parts[1]) > 10:
            self.tx.event("bdat_chunk_len_exceeded", False)
            return
        self._left = int(parts[1])
        self._last_chunk = len(parts) > 2 and parts[2].upper() == b"LAST"
        if self._message is None:
            self._message = Message(self._file, self._problem)
        if self._left:
            self._mode = _BDAT
        elif self._last_chunk:
            self._end_message()

    def _bdat(self, waiting: bytes, at: int) -> int:
        piece = waiting[at : at + self._left]
        self._left -= len(piece)
        if self._message is not None:
            # Lines end where they end, not where a segment or a chunk does.
            lines = (self._partial + piece).split(b"\n")
            self._partial = lines.pop()
            if len(self._partial) > MAX_LINE:
                lines.append(self._partial)
                self._partial = b""
            for line in lines:
                self._message.line(line.rstrip(b"\r"))
        if not self._left:
            self._mode = _COMMAND
            if self._last_chunk:
                self._end_message()
        self.touch(self.tx)
        return at + len(piece)

    def _data_line(self, line: bytes) -> None:
        if line == b".":
            self._mode = _COMMAND
            if len(self._commands) < MAX_COMMANDS:
                self._commands.append(b".")
            self._end_message()
            return
        if line.startswith(b".."):
            line = line[1:]
        if self._message is not None:
            self._message.line(line)
        self.touch(self.tx)

    def _block(self, waiting: bytes, at: int) -> int:
        """Give the message the lines that are sure to be of its body; returns the position behind them."""
        if waiting[at : at + 1] in (b"-", b".") or self._skipping[0] or self._message is None:
            return at
        end = waiting.rfind(b"\n", at) + 1
        for mark in (b"\n-", b"\n."):
            found = waiting.find(mark, at, end)
            if found >= 0:
                end = found + 1
        if end > at:
            self._message.block(waiting[at:end])
            self.touch(self.tx)
            return end
        return at

    def _end_message(self) -> None:
        tx, message = self.tx, self._message
        self._message = None
        if message is not None:
            if self._partial:
                message.line(self._partial.rstrip(b"\r"))
                self._partial = b""
            message.end()
            self._fields(message)
        tx.request = 1
        tx.done = True
        self.touch(tx)

    def _fields(self, message: Message) -> None:
        tx = self.tx
        for name in FIELDS:
            values = message.fields.get(name)
            if values:
                tx.set(f"email.{name.replace('-', '_')}", False, values[0])
                if len(values) > 1 and name in ("from", "to", "subject", "message-id"):
                    tx.event("duplicate_fields", False)
        for value in message.fields.get("received", []):
            tx.add("email.received", False, value)
        for url in message.urls:
            tx.add("email.url", False, url)

    def _file(self, name: bytes) -> File:
        digests = begun_digests(self.limits.hash_files)
        file = File(False, name, limit=self.limits.file_bytes, digests=digests)
        if len(self.tx.files) < MAX_FILES:
            self.tx.files.append(file)
        return file

    def _problem(self, name: str) -> None:
        self.tx.event(name, False)
        self.touch(self.tx)

    # The server

    def _reply(self, line: bytes) -> None:
        if len(line) > MAX_LINE:
            self._too_long(True)
        if not line[:3].isdigit():
            self.tx.event("invalid_reply", True)
            self.touch(self.tx)
            return
        if line[3:4] == b"-":
            return
        code = int(line[:3])
        if not self._greeted:
            self._greeted = True
            if code in (220, 554):
                return
            self.tx.event("no_server_welcome_message", True)
            self.touch(self.tx)
        if not self._commands:
            if code != 421:
                self._unmatched()
            return
        command = self._commands.pop(0)
        if command.startswith(b"DATA"):
            self._answer_to_data(code)
        elif command.startswith(b"STARTTLS"):
            if code == 220:
                self._tls()
            else:
                self.tx.event("tls_rejected", True)
                self.touch(self.tx)
        elif command.startswith(b"AUTH") and code == 334:
            self._mode = _AUTH
            self._commands.insert(0, b"AUTH")
        if self._tx is not None:
            self._tx.response = 1

    def _unmatched(self) -> None:
        tx = self._tx
        if tx is None:
            tx = self.tx
        tx.event("unable_to_match_reply_with_request", True)
        self.touch(tx)

    def _answer_to_data(self, code: int) -> None:
        if code == 354:
            if self._commands:
                self.tx.event("invalid_pipelined_sequence", True)
                self.touch(self.tx)
            self._mode = _DATA
            self._message = Message(self._file, self._problem)
        else:
            self.tx.event("data_command_rejected", True)
            self.touch(self.tx)

    def _tls(self) -> None:
        tx = self.tx
        tx.done = True
        self.touch(tx)
        self.next_protocol = "tls"


def _address(text: bytes) -> bytes:
    """Return the address in a path, as it stands in the brackets, or the text."""
    text = text.strip()
    if text.startswith(b"<"):
        return text[1:].partition(b">")[0]
    return text.split(b" ", 1)[0]
