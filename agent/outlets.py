"""The outputs besides the console, as the settings want them: NDJSON file, journal, Prometheus. They follow the spool, never lead it."""

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Protocol

from agent.loop import Loop
from agent.outputs.rendering import OutputState, Rendering
from agent.settings import OutputSettings
from contracts.errors import HoldfastError
from contracts.event import Envelope
from contracts.wire import Heartbeat


class Outlet(Protocol):
    """One output of events."""

    def write(self, envelope: Envelope) -> None:
        """Write one event; trouble is counted, never raised."""

    def state(self) -> OutputState:
        """Say how it is."""

    def close(self) -> None:
        """Give its descriptors back."""


class Outlets:
    """Holds the outputs; `use` changes them, `write` gives each event to all."""

    def __init__(
        self,
        loop: Loop,
        heartbeat: Callable[[], Heartbeat],
        rows: Callable[[str], Mapping[str, bytes]] = lambda _: {},
    ) -> None:
        """`rows` gives the stored rows of a subject, for the numbers that are in them."""
        self._loop, self._heartbeat, self._rows = loop, heartbeat, rows
        self._settings: OutputSettings | None = None
        self._outlets: list[Outlet] = []
        self._metrics: object | None = None
        self._trouble: tuple[OutputState, ...] = ()
        self._counted: Counter[str] = Counter()

    def use(self, settings: OutputSettings, rendering: Rendering) -> None:
        """Follow `settings`; only called with outputs open to close what they were."""
        self.close()
        self._settings, self._trouble = settings, ()
        if settings.ndjson.enabled:
            from agent.outputs.ndjson import NdjsonFile

            chosen = settings.ndjson
            self._outlets.append(
                NdjsonFile(Path(chosen.path), rendering.ocsf, rotate_at=chosen.rotate_at, keep=chosen.keep)
            )
        if settings.journald.enabled:
            from agent.outputs import journald

            if journald.SOCKET.exists():  # no journal on this machine: nothing to lose, and nothing to complain of
                self._outlets.append(journald.Journal(rendering.text, least=settings.journald.least))
        if settings.prometheus.listen:
            self._serve(settings.prometheus.listen)

    def write(self, envelope: Envelope) -> None:
        """Give an event to every output."""
        self._counted[envelope.event.severity.name.lower()] += 1
        for outlet in self._outlets:
            outlet.write(envelope)

    def states(self) -> tuple[OutputState, ...]:
        """Say how every output is."""
        return (*(outlet.state() for outlet in self._outlets), *self._trouble)

    def close(self) -> None:
        """Close every output."""
        for outlet in self._outlets:
            outlet.close()
        self._outlets.clear()
        if self._metrics is not None:
            self._metrics.close()  # type: ignore[attr-defined]  # a MetricsServer, imported late
            self._metrics = None

    def _serve(self, address: str) -> None:
        from agent.outputs import prometheus, traffic_metrics
        from agent.outputs.metrics_server import MetricsServer

        def render() -> bytes:
            families = prometheus.families(self._heartbeat(), self.states(), self._counted)
            return prometheus.render(chain(families, traffic_metrics.families(self._rows(traffic_metrics.SUBJECT))))

        try:
            self._metrics = MetricsServer(self._loop, address, render)
        except HoldfastError as error:  # an address in use must not keep the agent from watching; `status` shows it
            self._trouble = (OutputState(name="prometheus", problem=str(error)),)
