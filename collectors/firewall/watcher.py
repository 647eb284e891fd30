"""Watches the firewall: netlink tells of every change of nftables; legacy iptables tells nobody and is asked from time to time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import ClassVar

from collectors.firewall import committed, iptables
from collectors.firewall.collector import Options
from contracts.collector import Emit
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.event import Kind
from contracts.host import ReadOnlyHost, Stop
from contracts.subjects import datapath
from contracts.subjects.firewall import SUBJECT

ELEMENTS_EVERY_S = 5.0
"""How often a look at the datapath is asked for while only elements of sets come and go: every ban is such a change, a look reads all."""


class FirewallWatcher:
    """Asks for a look at the ruleset, and at all that decides on packets, whenever the ruleset changes; says who changed it."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = (committed.RULESET_COMMITTED,)
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options

    def watch(self, host: ReadOnlyHost, emit: Emit, stop: Stop) -> None:
        """Watch until `stop`; raises `Unavailable` where netlink may not be listened to."""
        later = _Later(emit, host)
        with _legacy_poll(host, emit, stop, self._options.legacy_every):
            for change in host.ruleset_changes(stop):
                if change.word == "overflow":
                    emit.gap("the kernel dropped notices of ruleset changes", 0.0)
                if change.elements:
                    emit.changed(SUBJECT)
                    later.changed()
                else:
                    _changed(emit)
                # A ban states itself, and there may be many.
                if change.committers and not (change.elements and all(one.own for one in change.committers)):
                    emit.event(committed.event(change.committers))


class _Later:
    """Asks for a look at the datapath at once, but not again before `ELEMENTS_EVERY_S` have passed; the last request is never lost."""

    def __init__(self, emit: Emit, host: ReadOnlyHost) -> None:
        self._emit, self._host = emit, host
        self._due = 0.0

    def changed(self) -> None:
        now = self._host.monotonic()
        if self._due > now:  # a look is asked for then
            return
        wait = self._due + ELEMENTS_EVERY_S - now
        if self._due == 0.0 or wait <= 0:
            self._due = now
            self._emit.changed(datapath.SUBJECT)
            return
        self._due = now + wait
        timer = threading.Timer(wait, self._emit.changed, [datapath.SUBJECT])
        timer.daemon = True
        timer.start()


def _changed(emit: Emit) -> None:
    emit.changed(SUBJECT)
    emit.changed(datapath.SUBJECT)


@contextmanager
def _legacy_poll(host: ReadOnlyHost, emit: Emit, stop: Stop, every_s: float) -> Iterator[None]:
    """Poll legacy iptables beside the netlink watch, in a thread that ends with it."""
    over = threading.Event()
    thread = threading.Thread(target=_poll, args=(host, emit, stop, every_s, over), name="firewall-legacy", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5.0)


def _poll(host: ReadOnlyHost, emit: Emit, stop: Stop, every_s: float, over: threading.Event) -> None:
    seen: bytes | None = None
    stated: tuple[Blind, ...] = ()
    while not over.is_set() and not stop.is_set():
        digest, blind = _legacy(host, every_s)
        if blind != stated:
            emit.blind(blind)
            stated = blind
        if seen is not None and digest != seen:
            _changed(emit)
        seen = digest
        over.wait(every_s)


def _legacy(host: ReadOnlyHost, every_s: float) -> tuple[bytes, tuple[Blind, ...]]:
    """Return a digest of all legacy rules, and what of their changes is not seen as it happens."""
    try:
        saved = {family: iptables.legacy_text(host, family) for family in iptables.SAVE}
    except Unavailable as error:
        what = "changes of legacy iptables rules"
        return error.message.encode(), (Blind(what=what, why=error.why, detail=error.message, fix=error.advice),)
    blind: tuple[Blind, ...] = ()
    if any(saved.values()):
        blind = (
            Blind(
                what="changes of legacy iptables rules as they happen",
                why=Why.OTHER,
                detail=f"the kernel sends no notice of them; they are looked for every {every_s:g} seconds",
                fix="Move to nftables or iptables-nft (update-alternatives --config iptables).",
            ),
        )
    text = "\n".join(line for part in saved.values() for line in part.splitlines() if not line.startswith("#"))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest(), blind
