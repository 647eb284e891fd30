"""The interface `Source`: what is running somewhere and is saved as one or more dumps, each a stream that is verified at its end.

A source is made from its options alone; it touches nothing before `dumps` is called.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from contracts.coverage import Blind
from contracts.errors import HoldfastError
from contracts.host import Host


class DumpFailed(HoldfastError):
    """A dump did not come to its proper end: it must not be kept. `said` holds the last lines of the tool's standard error."""

    permanent = False
    exit_code = 3

    def __init__(self, what: str, why: str, *, said: str = "", advice: str = "") -> None:
        super().__init__(f"{what}: {why}" + (f" ({said})" if said else ""), advice=advice)
        self.what = what
        self.why = why
        self.said = said


class Reading(Protocol):
    """A dump that is under way."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as data is there, 0 at the end; DumpFailed or Unavailable when it breaks off."""

    def finish(self) -> Sequence[Blind]:
        """Call when 0 was read. Returns what the dump does not hold although it is good; DumpFailed when it is not whole."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom the file in the snapshot belongs to, and its permissions and time of change."""

    uid: int
    gid: int
    mode: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Dump:
    """One file of a source. `file` is its path below the source's folder; it may be opened once, and nothing runs before that."""

    file: bytes
    open: Callable[[], AbstractContextManager[Reading]]
    owner: Owner | None = None


@dataclass(slots=True)
class Listing:
    """What a source has to save; `failed` names what there is and cannot be saved, `blind` what no dump will hold."""

    dumps: list[Dump] = field(default_factory=list)
    failed: list[DumpFailed] = field(default_factory=list)
    blind: list[Blind] = field(default_factory=list)


class Source(Protocol):
    """One instance of a product. `name` is its folder below /databases; `product` is postgresql, mysql, sqlite, redis or command."""

    @property
    def name(self) -> str:
        """What its options call it."""

    @property
    def product(self) -> str:
        """Which product it is."""

    def dumps(self, host: Host) -> Listing:
        """Ask what there is; DumpFailed or Unavailable when it cannot be asked."""
