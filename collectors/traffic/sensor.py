"""The sensor: packets of interfaces through all parts, what comes of them to the core; rules and settings are exchanged on the way.

All state lives here and in what this owns; one thread does everything but compiling a new ruleset.
"""

import importlib
import pkgutil

import collectors.traffic
from collectors.traffic import board, filter
from collectors.traffic.detectors.prefixes import Prefixes
from collectors.traffic.garbage import seldom
from collectors.traffic.kinds import RULES_LOADED, RULES_NOT_LOADED, SECRET_MISSING
from collectors.traffic.live import LiveSource
from collectors.traffic.options import RING_BLOCK, Options
from collectors.traffic.output.reporting import Reporting
from collectors.traffic.output.sealing import Sealer
from collectors.traffic.output.sight import Sight
from collectors.traffic.pipeline import Pipeline
from collectors.traffic.protocols import magic
from collectors.traffic.ring import RingOptions
from collectors.traffic.rules.engine.lookups import Lookups
from collectors.traffic.rules.exchange import take_over
from collectors.traffic.rules.forge import Broken
from collectors.traffic.rules.kept_sets import KeptSets
from collectors.traffic.rules.matching import domains
from collectors.traffic.rules.rulebook import Fresh, Rulebook
from collectors.traffic.rules.site import Site
from contracts.collector import Emit
from contracts.errors import Malformed, Unavailable
from contracts.host import ReadOnlyHost, Stop
from contracts.plural import plural

CHORES_S = 0.25
"""So often the sensor looks up from the packets."""
TICK_S = 1.0
FLUSH_S, FLUSH_FLOWS = 3.0, 2048
"""So long the end may take (`agent.worker.FLUSH_S` is more), and so many flows are ended at once."""
SECRETS, BANS = "secrets", "bans"
SOON_S, SOON_FOR_S = 0.5, 15.0
"""How often it is asked who is banned while a ban is expected, and how long it is."""
LATE_MODULES = ("numpy.ma",)
"""Modules that libraries import when they are first asked for something."""


def prepare() -> None:
    """Do what needs files, while they can still be opened: all modules, libpcap, libmagic's kinds, the public suffix list."""
    for found in pkgutil.walk_packages(collectors.traffic.__path__, "collectors.traffic."):
        importlib.import_module(found.name)
    for name in LATE_MODULES:
        importlib.import_module(name)
    filter.load_library()
    magic.load_library()
    domains.tld(b"example.org")


class Sensor:
    """One sensor; `run` until it is told to stop. `options` are those that are in force."""

    def __init__(self, options: Options, host: ReadOnlyHost, emit: Emit) -> None:
        self.options = options
        self._host, self._emit = host, emit
        self._board = board.of(host)
        self._pipeline = Pipeline(options)
        self._rules = Rulebook(options, emit, self._now_ms)
        self._sets = KeptSets(emit)
        self._fresh: Fresh | None = None
        """Rules that wait for what was kept of their sets."""
        self._reporting = Reporting(options, emit, host.monotonic())
        self._sight = Sight(emit, host.monotonic(), self._now_ms())
        self._names: list[str] = []
        self._chores_s = self._tick_s = 0.0
        self._secret_s, self._secret_problem = -options.rules_every, ""
        self._bans, self._bans_s, self._blocked_s = "", -options.rules_every, -SOON_FOR_S

    def run(self, stop: Stop) -> None:
        """Watch until `stop`; raises `Unavailable` or `Malformed` where an interface cannot be read."""
        try:
            while not stop.is_set():
                source = _open(self.options)
                try:
                    self._watch(source, stop)
                finally:
                    source.close()
        except (Unavailable, Malformed):
            self._flush()
            raise
        self._flush()

    def close(self) -> None:
        """End what is under way beside the packets."""
        self._rules.close()

    def _watch(self, source: LiveSource, stop: Stop) -> None:
        """Read one set of interfaces, until `stop` or until others are wanted."""
        self._names = source.names
        for block in source.blocks():
            now_ns = self._now_ns()
            for passed in self._pipeline.feed(block, now_ns):
                now_s = self._host.monotonic()
                self._reporting.take(passed, source.names, self._pipeline.flows.columns.serial, now_s)
                self._sight.take(passed, self._now_ns())
                # What it refers to need not stay while the next one is made.
                del passed
            now_s = self._host.monotonic()
            if now_s - self._chores_s >= CHORES_S or not len(block):
                self._chores_s = now_s
                self._chores(source, now_s)
                if self._tuned():
                    source.stop()
            if stop.is_set():
                source.stop()

    def _flush(self) -> None:
        """Look at what open flows still hold, and hand over all that was gathered, within `FLUSH_S`; what is left then is told."""
        until_s = self._host.monotonic() + FLUSH_S
        pipeline, reporting = self._pipeline, self._reporting
        self._keep_sets(at_end=True)
        reporting.tick(self._host.monotonic(), self._now_ms(), at_end=True)
        while len(pipeline.flows) and (now_s := self._host.monotonic()) < until_s:
            for passed in pipeline.finish(FLUSH_FLOWS):
                reporting.take(passed, self._names, pipeline.flows.columns.serial, now_s)
            reporting.tick(now_s, self._now_ms(), at_end=True)
        if left := len(pipeline.flows):
            reporting.leave_out(left)
            self._emit.gap(
                f"{plural(left, 'flow was', 'flows were')} open at the end, and there was no time to look at what was still held",
                0.0,
            )
        self._keep_sets(at_end=True)
        self._sight.flush(pipeline, reporting, self._host.monotonic())

    def _chores(self, source: LiveSource, now_s: float) -> None:
        try:
            self._fresh = self._rules.poll(now_s, self._pipeline.flows.columns) or self._fresh
        except Broken as broken:
            self._emit.event(RULES_NOT_LOADED.event("rules", detail=str(broken), errors=[str(broken)]))
        if self._fresh is not None and self._sets.ready(self._fresh.engine.evaluator.lookups, self._lookups()):
            fresh, self._fresh = self._fresh, None
            self._use(fresh)
        self._keep_sets()
        self._seal(now_s)
        self._learn_bans(now_s)
        if self._board.wanted:
            self._board.state(self._sight.rows(source, self._pipeline, self._reporting, self._rules.state, now_s))
        if now_s - self._tick_s >= TICK_S:
            self._tick_s = now_s
            self._reporting.tick(now_s, self._now_ms())
            self._sight.tick(source, self._pipeline, self._reporting, self._rules.state, now_s)

    def _keep_sets(self, at_end: bool = False) -> None:
        if (lookups := self._lookups()) is not None:
            self._sets.tick(lookups, self._host.monotonic(), at_end)

    def _lookups(self) -> Lookups | None:
        """Return the sets of the rules in use."""
        return self._pipeline.engine.evaluator.lookups if self._pipeline.engine is not None else None

    def _use(self, fresh: Fresh) -> None:
        """Exchange the rules: flows, streams and conversations go on, with the bits and counts that rules have set."""
        if self._pipeline.engine is not None:
            take_over(fresh.engine, self._pipeline.engine)
        self._pipeline.engine = fresh.engine
        seldom()
        suppressed = self._reporting.site.suppressed
        self._reporting.site = Site(fresh.config)
        self._reporting.site.suppressed = suppressed
        state = fresh.state
        problems = fresh.problems + self._sets.problems
        if problems:
            detail = problems[0] + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")
            self._emit.event(RULES_NOT_LOADED.event("files", detail=detail, errors=problems[:50]))
        self._emit.event(
            RULES_LOADED.event(
                "rules",
                loaded=state.loaded,
                refused=state.refused,
                files=state.files,
                examples=list(state.examples),
                seconds=state.seconds,
                cached=state.cached,
            )
        )

    def _seal(self, now_s: float) -> None:
        """See to it that evidence is sealed with the secret that the settings name: without it none is kept."""
        reporting = self._reporting
        if reporting.may_keep:
            return
        answer = self._emit.fetched(SECRETS)
        if answer is None and now_s - self._secret_s >= self.options.rules_every:
            self._secret_s = now_s
            self._emit.fetch(SECRETS)
        for piece in answer.pieces or () if answer is not None else ():
            if not piece.problem:
                reporting.sealer, reporting.may_keep = Sealer(piece.data), True
            elif piece.problem != self._secret_problem:
                self._secret_problem = piece.problem
                self._emit.event(SECRET_MISSING.event("evidence", detail=piece.problem))

    def _learn_bans(self, now_s: float) -> None:
        """Learn who is banned: often after something that leads to a ban, else now and then."""
        answer = self._emit.fetched(BANS)
        if answer is not None and answer.pieces is not None:
            self._bans = answer.signature
            keys = b"\n".join(piece.data for piece in answer.pieces).decode("utf-8", "replace").split("\n")
            networks = [key for key in keys if key and " " not in key]
            self._reporting.banned = Prefixes(networks)
            self._pipeline.detectors.ban(networks)
        if self._reporting.blocked:
            self._reporting.blocked, self._blocked_s = False, now_s
        every_s = SOON_S if now_s - self._blocked_s < SOON_FOR_S else self.options.rules_every
        if now_s - self._bans_s >= every_s:
            self._bans_s = now_s
            self._emit.fetch(BANS, self._bans)

    def _tuned(self) -> bool:
        """Take other settings; return whether the interfaces have to be opened anew."""
        options = self._emit.retuned()
        if not isinstance(options, Options):
            return False
        former, self.options = self.options, options
        self._reporting.tune(options)
        self._rules.tune(options)
        if options.evidence.key != former.evidence.key:
            self._reporting.sealer, self._reporting.may_keep = None, options.evidence.key is None
            self._secret_s, self._secret_problem = -options.rules_every, ""
        self._pipeline.protocols.account.resize(options.body_memory)
        if _of_tables(options) != _of_tables(former):
            self._emit.gap("the tables of flows and streams were made anew with other settings", 0.0)
            self._flush()
            # What the engine knows of flows is by their place in the tables: it is made anew, too.
            self._pipeline, self._fresh = Pipeline(options), None
            self._rules.again()
            self._bans = ""
        elif options.detectors != former.detectors:
            self._pipeline.tune(options.detectors)
            self._bans = ""
        return _of_capture(options) != _of_capture(former)

    def _now_ns(self) -> int:
        return int(self._host.now().timestamp() * 1e9)

    def _now_ms(self) -> int:
        return int(self._host.now().timestamp() * 1000)


def _open(options: Options) -> LiveSource:
    ring = RingOptions(blocks=options.ring_blocks, block_bytes=RING_BLOCK, filter=options.filter, fanout=options.fanout)
    return LiveSource(options.interfaces, ring)


def _of_capture(options: Options) -> tuple[object, ...]:
    return options.interfaces, options.ring, options.filter, options.fanout


def _of_tables(options: Options) -> tuple[object, ...]:
    return options.checksums, options.midstream, options.async_oneside, options.max_flows, options.stream_memory
