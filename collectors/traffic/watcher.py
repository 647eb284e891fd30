"""Watches the traffic of interfaces: hosts the sensor in its worker. What needs numpy and Hyperscan is loaded by that worker alone."""

import importlib
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from collectors.traffic import board
from collectors.traffic.kinds import KINDS
from collectors.traffic.options import Options
from contracts.collector import Emit
from contracts.errors import Unavailable, Why
from contracts.event import Kind
from contracts.host import ReadOnlyHost, Stop
from contracts.subjects.traffic import SUBJECT

if TYPE_CHECKING:
    from collectors.traffic.sensor import Sensor

EVIDENCE_BYTES, FLOWS_BYTES, CACHE_BYTES, SET_BYTES = 2 << 20, 32 << 20, 256 << 20, 16 << 20
"""Of one thing: more than the largest that the settings allow."""
SETS_BYTES = 64 << 20
"""Of all sets that rules fill and have kept; beyond it the one that was kept first goes."""


_MISSING: list[str] = []
"""What could not be loaded, for `watch` to tell."""


def prepare() -> None:
    """Load the sensor, while files can still be opened; without its libraries it says so when it is to watch."""
    try:
        importlib.import_module("collectors.traffic.sensor").prepare()
    except ImportError as error:
        _MISSING.append(str(error))


class TrafficWatcher:
    """Streams alerts of rules and findings of detectors; takes other settings and rules while it watches, without losing a flow."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = KINDS
    options: ClassVar[type[Options]] = Options
    live: ClassVar[bool] = True

    def __init__(self, options: Options) -> None:
        self._options = options

    @classmethod
    def materials(cls, options: Options) -> dict[str, dict[str, tuple[str, ...]]]:
        """Return the paths, by role, of what the sensor fetches: rules and lists with what belongs to them, and what it had kept."""
        files = {
            "rules": options.rules,
            "classification": _named(options.classification),
            "threshold": _named(options.thresholds),
            "categories": _named(options.reputation_categories),
            "reputation": options.reputation,
            "list": options.lists,
        }
        secrets = {"secret-evidence": _named(options.evidence.key or "")}
        return {
            "rules": {role: paths for role, paths in files.items() if paths},
            "cache": {"kept": ("cache", "rules")},
            "bans": {"subject": ("bans",)},
            "sets": {"all-kept": ("sets",)},
            "secrets": {role: paths for role, paths in secrets.items() if paths},
        }

    @classmethod
    def keeps(cls, options: Options) -> dict[str, tuple[int, int]]:
        """Return what is kept for the sensor: the most bytes of one thing, which no setting changes, and of all of its sort."""
        return {
            "evidence": (EVIDENCE_BYTES, options.evidence.total),
            "flows": (FLOWS_BYTES, options.flow_records),
            "cache": (CACHE_BYTES, CACHE_BYTES),
            "sets": (SET_BYTES, SETS_BYTES),
        }

    def watch(self, host: ReadOnlyHost, emit: Emit, stop: Stop) -> None:
        """Watch until `stop`; raises `Unavailable` where packets may not be read."""
        tuned = emit.retuned()
        if isinstance(tuned, Options):
            self._options = tuned
        sensor = _sensor(self._options, host, emit)
        try:
            sensor.run(stop)
        finally:
            self._options = sensor.options
            board.of(host).state(None)
            sensor.close()


def _sensor(options: Options, host: ReadOnlyHost, emit: Emit) -> "Sensor":
    if _MISSING:
        detail = f"the sensor's libraries are not all there: {_MISSING[0]}"
        advice = f"Install them for this Python: {sys.prefix}/bin/python -m pip install 'holdfast[sensor]'."
        raise Unavailable(Why.TOOL_MISSING, detail, advice=advice)
    module: Any = importlib.import_module("collectors.traffic.sensor")
    sensor: Sensor = module.Sensor(options, host, emit)
    return sensor


def _named(word: str) -> tuple[str, ...]:
    return (word,) if word else ()
