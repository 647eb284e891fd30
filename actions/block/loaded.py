"""Keeps our table whole: loads it with everything that was saved, bans and bulk lists, when it is missing or damaged."""

from msgspec.structs import replace

from actions.block import blocklists, elements, table
from actions.block.blocklists import Intervals
from actions.block.memory import Memory
from actions.block.restore import script
from actions.block.saved import Saved
from contracts.blocking import ALLOWED, BANNED, LIMITED, LISTED, TABLE, UNBANNED, set_name
from contracts.errors import Unavailable, Why
from contracts.host import Host, ReadOnlyHost
from contracts.netfilter import NoSuchSet
from contracts.record import Record

LISTS = "blocklists"
"""The file in the state folder that holds what the lists came to when they were loaded last."""
MAX_LISTS = 128 << 20


class Mended(Record):
    """What was loaded again, and what was wrong; `wrong` empty when nothing was."""

    wrong: tuple[str, ...] = ()
    bans: int = 0
    allowed: int = 0


def mend(host: Host, memory: Memory, now_ms: int, needs_table: bool, renew: bool = False) -> Mended:
    """Load the table again unless it stands; where nothing is saved and nothing `needs_table`, an absent one is in order.

    With `renew` it is loaded in any case: its settings changed.

    Call it with the memory's lock held. Raises `Unavailable`, `NotLoaded`.
    """
    found = memory.hook(host)
    if not (found.missing or renew):
        return Mended()
    saved = _with_kernel(host, memory.saved(host), now_ms)
    text = script(saved, now_ms, blocklists.every_command(kept_lists(host, memory)))
    if not text and not needs_table and _is_absent(host):
        return Mended()
    table.load(host, text or table.script(saved, now_ms))
    return Mended(wrong=found.missing, bans=len(saved.bans) + len(saved.limited), allowed=len(saved.allowed))


def kept_lists(host: ReadOnlyHost, memory: Memory) -> Intervals:
    """Return what the lists came to when they were loaded last; raises `Unavailable` for a file that is not ours."""
    if not memory.folder:
        return {}
    path = f"{memory.folder}/{LISTS}"
    try:
        return blocklists.restored(host.files.read(path, MAX_LISTS))
    except Unavailable as error:
        if error.why is Why.NOT_PRESENT:
            return {}
        raise
    except ValueError as error:
        advice = f"move {path} away and load the lists again with `holdfast ban --lists`"
        raise Unavailable(Why.MALFORMED, f"{path} is not what Holdfast wrote ({error})", advice=advice) from error


def listed_now(host: ReadOnlyHost) -> Intervals:
    """Return what the kernel's sets of bulk lists hold; raises `NoSuchSet`."""
    return {version: host.netfilter.intervals(TABLE, set_name(LISTED, version)) for version in (4, 6)}


def _with_kernel(host: ReadOnlyHost, saved: Saved, now_ms: int) -> Saved:
    """Return `saved` with what a damaged table still holds and the file does not know."""
    return replace(
        saved,
        bans={**elements.entries(host, BANNED, now_ms), **saved.bans},
        limited={**elements.entries(host, LIMITED, now_ms), **saved.limited},
        unbanned={**elements.entries(host, UNBANNED, now_ms), **saved.unbanned},
        allowed={**elements.entries(host, ALLOWED, now_ms), **saved.allowed},
    )


def _is_absent(host: ReadOnlyHost) -> bool:
    try:
        host.netfilter.elements(TABLE, set_name(BANNED, 4))
    except NoSuchSet:
        return True
    return False
