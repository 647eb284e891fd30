"""What of this room is compiled where there is a C compiler (`make native`, decision 10); everywhere else Python runs the same sources."""

from pathlib import Path
from typing import Final

from contracts.native import Room

COMPILED = (
    "pcap",
    "protocols.",
    "streams.",
    "rules.matching.contents",
    "rules.matching.matcher",
    "rules.matching.numbers",
    "rules.matching.state",
    "rules.matching.steps",
    "rules.engine.buffers",
    "rules.engine.evaluate",
    "rules.engine.state",
    "rules.engine.verdicts",
    "rules.engine.waiting",
)
"""Packages (they end with a dot) and modules."""

ROOM: Final = Room("collectors.traffic", COMPILED, Path(__file__).resolve().parents[2])
