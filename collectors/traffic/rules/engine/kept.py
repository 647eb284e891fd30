"""Prefilters as they are kept between runs: plain values, which also travel from the process that made them."""

from collectors.traffic.rules.language.rule import Transform
from contracts.record import Record


class Kept(Record):
    """A compiled prefilter as it is kept: the database, and for each pattern which rules it stands for, and how far in it may end."""

    database: bytes
    starts: bytes
    rules: bytes
    lasts: bytes
    longest: int


class KeptPrefilters(Record):
    """The prefilters as they are kept: those of what goes to servers, and to clients."""

    segments: tuple[Kept, Kept]
    streams: tuple[Kept, Kept]
    datagrams: tuple[Kept, Kept]
    others: tuple[Kept, Kept]


class KeptBuffer(Record):
    """The prefilter of one buffer as it is kept. `within`: of the rules that are about both sides of a transaction."""

    buffer: str
    transforms: tuple[Transform, ...]
    within: bool
    prefilter: Kept


class KeptOpen(Record):
    """A rule about transactions that no pattern stands for: its number, side (-1: both), and the conversations it is for (None: any)."""

    rule: int
    direction: int
    applications: tuple[str, ...] | None
