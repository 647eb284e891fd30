"""HTTP/1 over one connection: both sides' readers, and the transactions that join them."""

from typing import Final

from collectors.traffic.protocols.http.request import RequestHalf
from collectors.traffic.protocols.http.response import ResponseHalf
from collectors.traffic.protocols.http.transaction import COMPLETE, HttpTransaction
from collectors.traffic.protocols.news import Conversation, File, Transaction, begun_digests
from collectors.traffic.protocols.parser import MAX_TRANSACTIONS, MOST_SPARED, Facts, Limits, Parser

MAX_FILES: Final = 64
"""Files of one transaction; further ones are not kept apart."""


class HttpParser(Parser):
    """Reads a connection that speaks HTTP/1."""

    protocol = "http"

    def __init__(self, conversation: Conversation, facts: Facts, limits: Limits) -> None:
        super().__init__(conversation, facts, limits)
        self._open: list[HttpTransaction] = []
        self._request = RequestHalf(self._begin, self.touch, limits, facts.server_port, self._file)
        self._response = ResponseHalf(self._match, self.touch, limits, self._file, self._ended)

    def data(self, to_client: bool, data: bytes, gap: int) -> None:
        """Take bytes of one side."""
        half = self._response if to_client else self._request
        if gap and not half.dead:
            half.gap(gap)
        half.feed(data)
        if self._open and self._open[0].response >= COMPLETE <= self._open[0].request:
            self._finish(self._open[0])
        if to_client:
            if self._request.tx is not None and self._request.state == self._request.connect:
                self._request.run()
            self._tunnel()

    def end(self, to_client: bool) -> None:
        """Hear that one side says no more."""
        half = self._response if to_client else self._request
        if not half.dead:
            half.close()
        tx = half.tx
        if to_client and tx is not None and tx.response >= COMPLETE and not tx.done:
            self._finish(tx)

    def release(self) -> None:
        """Let go of the readers, which hold on to their own states."""
        self._request.release()
        self._response.release()

    def unread(self) -> int:
        """Return how many bytes wait for those behind them."""
        return len(self._request.buffer) + len(self._response.buffer)

    def stop(self) -> list[tuple[Transaction, bool]]:
        """Let rules see what is there, and keep no more of it; of many open requests the oldest are ended."""
        found = super().stop()
        for tx in self._open[:-MOST_SPARED]:
            if tx is not self._request.tx and tx is not self._response.tx:
                self._finish(tx)
                found.append((tx, True))
        return found

    def upgraded(self) -> HttpTransaction | None:
        """Return the request whose answer changed the protocol, None where it was not seen."""
        tx = self._response.tx
        return tx if tx is not None and tx.method else None

    def _begin(self) -> HttpTransaction:
        last = self._open[-1] if self._open else None
        if last is not None and last.request < COMPLETE and not last.unseen and not last.method:
            return last
        return self._new()

    def _new(self) -> HttpTransaction:
        tx = HttpTransaction(self.count, self.limits)
        if len(self._open) >= MAX_TRANSACTIONS:
            self._finish(self._open[0])
        self.open(tx)
        self._open.append(tx)
        return tx

    def _match(self) -> HttpTransaction:
        for tx in self._open:
            if tx.response < COMPLETE:
                return tx
        tx = self._new()
        tx.unseen = True
        tx.request = COMPLETE
        tx.event("unable_to_match_response_to_request", True)
        return tx

    def _ended(self, tx: HttpTransaction) -> None:
        if tx.request >= COMPLETE:
            self._finish(tx)

    def _finish(self, tx: HttpTransaction) -> None:
        tx.done = True
        if tx in self._open:
            self._open.remove(tx)
        self.touch(tx)

    def _tunnel(self) -> None:
        """Go on with another protocol behind an accepted CONNECT or an Upgrade."""
        if self._response.upgraded is not None:
            word = self._response.upgraded
            self._response.upgraded = None
            self._request.dead = True
            if self.conversation.original and self._response.tx is not None:
                # One change of protocol is all that Suricata follows; a second one is an event.
                self._response.tx.event("failed_protocol_change", True)
                self.touch(self._response.tx)
            self.next_protocol = "http2" if b"h2c" in word else "websocket" if b"websocket" in word else "?"
            self.rest = self._response.rest()
        elif self._request.tunnel:
            self._request.tunnel = False
            self.next_protocol = "?"

    def _file(self, tx: HttpTransaction, to_client: bool, name: bytes, whole: bool) -> File:
        digests = begun_digests(self.limits.hash_files)
        # A form is taken apart into files; any other body is the file itself.
        kept = tx.message(to_client).body.kept if whole else None
        file = File(to_client, name, self.limits.request_body, digests, kept)
        if len(tx.files) < MAX_FILES:
            tx.files.append(file)
        return file
