"""The table of our bans, as the action that fills it and the collector that reads it agree on: names of sets, comments of elements.

The comment of an element is `who|since|cause|reason`: all that belongs to a ban is kept by the kernel itself.
"""

from contracts.record import Record

TABLE = "holdfast_block"
BANNED, LISTED, ALLOWED, UNBANNED, LIMITED, LEAKED = "banned", "listed", "allowed", "unbanned", "limited", "leaked"
"""Each is two sets, `banned4` and `banned6` and so on. `leaked` counts, by address, packets of banned sources that got through."""

MAX_COMMENT = 120
"""Bytes; nft takes 128 with the final zero."""

_MAX_WHO = 32
_FORBIDDEN = {**dict.fromkeys(range(32)), **dict.fromkeys(map(ord, '"\\\x7f|'))}


class Note(Record):
    """What an element's comment says: who placed it (a user, `rule`), when (Unix ms), the event's id or "", and why."""

    who: str = ""
    since_ms: int = 0
    cause: str = ""
    reason: str = ""


def set_name(what: str, version: int) -> str:
    """Return the name of the set that holds `what` of one IP version."""
    return f"{what}{version}"


def encode(note: Note) -> str:
    """Return `note` as a comment: at most `MAX_COMMENT` bytes, the reason cut where it does not fit."""
    words = [_plain(note.who)[:_MAX_WHO], str(note.since_ms), _plain(note.cause)[:40], _plain(note.reason)]
    return "|".join(words).encode()[:MAX_COMMENT].decode("utf-8", "ignore")


def decode(comment: str) -> Note:
    """Return what a comment says; one that somebody else wrote is all reason."""
    words = comment.split("|", 3)
    if len(words) != 4 or not (words[1].isascii() and words[1].isdigit()):
        return Note(reason=comment)
    return Note(who=words[0], since_ms=int(words[1]), cause=words[2], reason=words[3])


def _plain(text: str) -> str:
    """Return `text` without what ends a comment or a line of nft's language."""
    return text.translate(_FORBIDDEN).encode("utf-8", "ignore").decode()
