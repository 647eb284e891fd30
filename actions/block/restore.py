"""What brings the bans back: after a reboot before the network is up, and whenever somebody's `flush ruleset` took our table."""

from actions.block import blocklists, table
from actions.block.saved import Saved, decode


def restore_script(saved: bytes, now_ms: int, lists: bytes = b"") -> str:
    """Return the nft script that replaces our table by one with everything in `saved` (the content of `bans.json`) that still holds.

    `now_ms` is Unix time, `lists` the content of the file that holds what the bulk lists came to. Returns "" when nothing was saved that
    the kernel would have to hold. Raises `ValueError` for content that Holdfast did not write.
    """
    return script(decode(saved), now_ms, blocklists.every_command(blocklists.restored(lists)))


def script(saved: Saved, now_ms: int, listed: tuple[str, ...] = ()) -> str:
    """Return the same for decoded content."""
    kept = (saved.bans, saved.limited, saved.unbanned, saved.allowed)
    if not listed and not any(entry.lasts(now_ms) for entries in kept for entry in entries.values()):
        return ""
    return table.script(saved, now_ms, listed)
