"""Guessed logins: one client that fails to log in again and again, and many clients that do so together.

Where the server says in plain words that a login failed, these are counted. Where they are encrypted (SSH, RDP, protocols inside TLS), the
connection's pattern is: it was opened, a key exchanged, a little said, and closed before anything that a session needs was said.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from collectors.traffic.detectors import kinds
from collectors.traffic.detectors.credentials import Credentials
from collectors.traffic.detectors.dialogues import DIALOGUES, FAILED, GOT_IN, MAILBOX_PORTS, NEW_KEYS, Dialogue
from collectors.traffic.detectors.finding import Finding, endpoint
from collectors.traffic.detectors.glance import Glance
from collectors.traffic.detectors.memory import COPY, Memory
from collectors.traffic.detectors.options import LoginOptions
from collectors.traffic.detectors.voice import Voice
from collectors.traffic.flows.store import Columns
from collectors.traffic.protocols.news import Change
from collectors.traffic.streams.news import News
from contracts.event import Kind, Severity

_Client = tuple[int, int, int]
_Server = tuple[int, int, int, int]
"""Family, address in two halves, and port."""
_REMEMBERED = 16_384
_SPRAYERS = 1024
_MOST = 65_536
_RDP_BYTES = 8_000
_TLS_BYTES = 7_000
_TLS_TIMES = 8
"""Mail programs behind one address poll often and briefly: so many times as many connections count."""
_LONG = 65_536
"""A server that has said so much is past the login."""
_HEAD = 512
"""Bytes of a run that are looked at."""
_PROMPT = 64
"""Bytes at the end of a run in which a prompt is looked for."""
_TELNET_COMMANDS = re.compile(rb"\xff[\xfb-\xfe].", re.DOTALL)
_SSH_ANSWERS = 4
"""The first answers are to the request for the service and to what is tried before a password or the right key."""
_SSH_SESSION = 200
"""A later answer of so many bytes is no refusal: a server that lets somebody in tells its host keys, or takes a key that it knows."""
_FAILURE, _GUESS, _SUCCESS, _TAKEN_BACK = 0, 1, 2, 3


@dataclass(slots=True)
class _Watched:
    protocol: str
    dialogue: Dialogue | None
    asked: bool = False
    prompted: bool = False
    keys_at: int = -1
    answers: int = 0
    guesses: int = 0
    said: int = 0


@dataclass(slots=True)
class _Record:
    began_ns: int
    failures: int = 0
    guesses: int = 0
    successes: int = 0
    told: bool = False


@dataclass(slots=True)
class _Book:
    """What is remembered of clients over one window, and how much is too much in it."""

    window_s: float
    failures: int
    connections: int
    clients: OrderedDict[tuple[int, ...], _Record] = field(default_factory=OrderedDict)

    def limit(self, protocol: str) -> int:
        """Return how many tries without a session are too many."""
        return self.connections * (_TLS_TIMES if protocol == "tls login" else 1)


@dataclass(slots=True)
class _Spray:
    began_ns: int
    failures: int = 0
    clients: dict[_Client, int] = field(default_factory=dict)


class Logins:
    """Follows conversations that begin with a login, while they are in it; all memories are bounded."""

    def __init__(self, options: LoginOptions, voice: Voice, memory: Memory, credentials: Credentials) -> None:
        self._options, self._voice, self._memory, self._credentials = options, voice, memory, credentials
        self._spray_ns = int(options.spray_window * 1e9)
        self._watched: dict[int, _Watched] = {}
        self._outcomes: list[tuple[int, int, str]] = []
        self._books = (
            _Book(options.window, options.failures, options.connections),
            _Book(options.slow_window, options.slow_failures, options.slow_failures),
        )
        self._services: OrderedDict[_Server, _Spray] = OrderedDict()
        self.evicted = 0

    def talks(self, change: Change, columns: Columns) -> None:
        """Hear that a conversation's protocol is known."""
        talk = change.conversation
        name, slot = talk.protocol, talk.slot
        dialogue = DIALOGUES.get(name)
        if name == "tls" and int(columns.dport[slot]) in MAILBOX_PORTS:
            name = "tls login"
        if (dialogue is None and name not in ("ssh", "rdp", "tls login")) or slot in self._watched:
            return
        if self._memory.home[0, slot] == COPY:
            return
        if len(self._watched) >= _MOST:
            self._watched.pop(next(iter(self._watched)))
            self.evicted += 1
        self._watched[slot] = _Watched(name, dialogue)

    def outcome(self, slot: int, failed: bool, protocol: str) -> None:
        """Take the outcome of a login that is seen elsewhere (HTTP)."""
        self._outcomes.append((slot, _FAILURE if failed else _SUCCESS, protocol))

    def feed(self, glance: Glance, news: News) -> None:
        """Take a block, after its conversations' changes."""
        watched = self._watched
        if watched:
            # (By place: this asks for every run of the block, and nearly all are of other flows.)
            for run in [run for run in news.runs if run[0] in watched]:
                one = watched.get(run.slot)
                if one is not None and run.data:
                    self._run(one, run.slot, run.to_client, run.data, run.offset, glance)
            if len(glance):
                self._closed(glance)
            # Those that end without having been closed were cut off, or go on unseen: that says nothing.
            for ended in glance.batch.ended:
                for slot in ended.slots.tolist():
                    watched.pop(slot, None)
        if self._outcomes:
            self._count(glance.columns, glance.now_ns)

    def _run(self, one: _Watched, slot: int, to_client: bool, data: bytes, offset: int, glance: Glance) -> None:
        if to_client:
            one.said = offset + len(data)
            if one.said > _LONG and one.dialogue is not None:
                del self._watched[slot]
                return
        dialogue = one.dialogue
        if dialogue is None:
            if to_client and one.protocol == "ssh":
                self._ssh(one, slot, data, offset)
            return
        head = data[:_HEAD]
        if not to_client:
            one.asked = dialogue.attempt is None or one.asked or dialogue.attempt.match(head) is not None
            said = one.prompted and _TELNET_COMMANDS.sub(b"", head) != b""
            one.prompted &= not said
            if said or (dialogue.plain is not None and dialogue.plain.match(head) is not None):
                self._credentials.seen(glance.columns, slot, one.protocol, glance.now_ns, head)
            return
        if dialogue.prompt is not None:
            one.prompted = dialogue.prompt.search(data[-_PROMPT:]) is not None
        outcome = dialogue.outcome(head) if one.asked or dialogue.attempt is None else 0
        if outcome == FAILED:
            self._outcomes.append((slot, _FAILURE, one.protocol))
        elif outcome == GOT_IN:
            self._outcomes.append((slot, _SUCCESS, one.protocol))
        if outcome:
            one.asked = False

    def _ssh(self, one: _Watched, slot: int, data: bytes, offset: int) -> None:
        if one.keys_at < 0:
            found = data.find(NEW_KEYS)
            if found >= 0:
                one.keys_at = offset + found + len(NEW_KEYS)
            return
        one.answers += 1
        if one.said - one.keys_at > self._options.encrypted_bytes or (one.answers > 2 and len(data) > _SSH_SESSION):
            self._outcomes += [(slot, _TAKEN_BACK, "ssh")] * one.guesses
            self._outcomes.append((slot, _SUCCESS, "ssh"))
            del self._watched[slot]
        elif one.answers > _SSH_ANSWERS:
            one.guesses += 1
            self._outcomes.append((slot, _GUESS, "ssh"))

    def _closed(self, glance: Glance) -> None:
        """Look at connections that both sides closed with this block: the flow itself ends much later."""
        flags = glance.flags
        closing = np.flatnonzero((glance.protocol == 6) & ((flags & np.uint16(0x0505)) != 0))
        over = closing[glance.columns.tcp_state[glance.flow[closing]] == 5]
        for slot in glance.flow[over].tolist():
            self._leave(slot)

    def _leave(self, slot: int) -> None:
        one = self._watched.pop(slot, None)
        if one is None or one.dialogue is not None:
            return
        if one.protocol == "ssh":
            if one.keys_at >= 0 and 0 < one.said - one.keys_at <= self._options.encrypted_bytes:
                self._outcomes.append((slot, _GUESS, "ssh"))
        elif 0 < one.said <= (_RDP_BYTES if one.protocol == "rdp" else _TLS_BYTES):
            self._outcomes.append((slot, _GUESS, one.protocol))

    def _count(self, columns: Columns, now_ns: int) -> None:
        outcomes, self._outcomes = self._outcomes, []
        for slot, outcome, protocol in outcomes:
            client = (int(columns.family[slot]), int(columns.src_hi[slot]), int(columns.src_lo[slot]))
            server = (client[0], int(columns.dst_hi[slot]), int(columns.dst_lo[slot]), int(columns.dport[slot]))
            for book in self._books:
                record = self._record(book, (*client, *server), now_ns)
                if outcome == _TAKEN_BACK:
                    record.guesses = max(0, record.guesses - 1)
                elif outcome == _SUCCESS:
                    self._succeeded(book, record, client, server, protocol, now_ns)
                else:
                    record.failures += outcome == _FAILURE
                    record.guesses += outcome == _GUESS
                    self._failed(book, record, client, server, protocol, now_ns)
            if outcome in (_FAILURE, _GUESS):
                self._sprayed(client, server, protocol, now_ns)

    def _record(self, book: "_Book", key: tuple[int, ...], now_ns: int) -> "_Record":
        record = book.clients.get(key)
        if record is None or now_ns - record.began_ns > book.window_s * 1e9:
            record = book.clients[key] = _Record(now_ns)
            if len(book.clients) > _REMEMBERED:
                book.clients.popitem(last=False)
                self.evicted += 1
        book.clients.move_to_end(key)
        return record

    def _failed(
        self, book: "_Book", record: "_Record", client: _Client, server: _Server, protocol: str, now_ns: int
    ) -> None:
        # Sessions that got somewhere in between: a program that works and connects often, not one that guesses.
        if record.failures >= book.failures or (
            record.guesses >= book.limit(protocol) and record.guesses >= 9 * record.successes
        ):
            record.told = True
            self._say(kinds.BRUTE_FORCE, kinds.BRUTE_FORCE.severity, book, record, client, server, protocol, now_ns)

    def _succeeded(
        self, book: "_Book", record: "_Record", client: _Client, server: _Server, protocol: str, now_ns: int
    ) -> None:
        record.successes += 1
        if record.told:
            severity = kinds.LOGIN_GUESSED.severity if record.failures else Severity.HIGH
            self._say(kinds.LOGIN_GUESSED, severity, book, record, client, server, protocol, now_ns)

    def _say(
        self,
        kind: Kind,
        severity: Severity,
        book: "_Book",
        record: "_Record",
        client: _Client,
        server: _Server,
        protocol: str,
        now_ns: int,
    ) -> None:
        numbers, limits = {}, {}
        if record.failures:
            numbers["failed_logins"], limits["failed_logins"] = float(record.failures), float(book.failures)
        if record.guesses:
            name = "tries_without_a_session"
            numbers[name], limits[name] = float(record.guesses), float(book.limit(protocol))
        if record.successes:
            numbers["successful_logins"] = float(record.successes)
        self._voice.say(
            Finding(
                kind=kind,
                subject=endpoint(*server, 6),
                sender=endpoint(*client),
                severity=severity,
                forgeable=False,
                method=protocol,
                numbers=numbers,
                limits=limits,
                window_s=book.window_s,
                first_ns=record.began_ns,
                last_ns=now_ns,
                protocol=protocol,
                port=server[3],
            )
        )

    def _sprayed(self, client: _Client, server: _Server, protocol: str, now_ns: int) -> None:
        spray = self._services.get(server)
        if spray is None or now_ns - spray.began_ns > self._spray_ns:
            spray = self._services[server] = _Spray(now_ns)
            if len(self._services) > _REMEMBERED // 4:
                self._services.popitem(last=False)
                self.evicted += 1
        self._services.move_to_end(server)
        spray.failures += 1
        if len(spray.clients) < _SPRAYERS:
            spray.clients[client] = spray.clients.get(client, 0) + 1
        options = self._options
        if spray.failures < options.spray or len(spray.clients) < options.spray_clients:
            return
        most = sorted(spray.clients, key=spray.clients.__getitem__, reverse=True)[:8]
        self._voice.say(
            Finding(
                kind=kinds.SPRAYED,
                subject=endpoint(*server, 6),
                sender="",
                severity=kinds.SPRAYED.severity,
                forgeable=False,
                method=protocol,
                numbers={"failed_logins": float(spray.failures), "clients": float(len(spray.clients))},
                limits={"failed_logins": float(options.spray), "clients": float(options.spray_clients)},
                window_s=options.spray_window,
                first_ns=spray.began_ns,
                last_ns=now_ns,
                senders=tuple(endpoint(*one) for one in most),
                protocol=protocol,
                port=server[3],
            )
        )
