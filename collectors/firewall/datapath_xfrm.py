"""IPsec policies (xfrm) for the subject `datapath`: no ruleset shows them, and one can drop what the ruleset lets through."""

from collections.abc import Iterator

from collectors.firewall.datapath_rows import Sheet
from contracts.errors import Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.text import escape

_MOST = 2000
_MAX_BYTES = 8 << 20
_FOLLOWS = "IPsec policies (xfrm), which may drop what the ruleset lets through"
_NO_XFRM = ("Protocol not supported", "Address family not supported")


def read(host: ReadOnlyHost, sheet: Sheet) -> None:
    """Put policies and defaults on `sheet`; what cannot be read is a blind spot. A kernel without IPsec has none."""
    try:
        told = _ask(host)
        policies = list(_policies(told))
        defaults = list(_defaults(_ask(host, "getdefault"))) if told is not None else []
    except Unavailable as error:
        sheet.missing(_FOLLOWS, error.why, error.message, error.advice)
        return
    for words in policies[:_MOST]:
        direction = words[words.index("dir") + 1] if "dir" in words[:-1] else "socket"
        sheet.put_next("xfrm", direction, *words[1:4:2], document="", text=" ".join(words))
    if len(policies) > _MOST:
        unread = f"{len(policies)} policies, more than {_MOST}"
        sheet.put("xfrm", unread=unread)
        sheet.missing(f"{len(policies) - _MOST} {_FOLLOWS}", Why.TOO_LARGE, unread, "See them with `ip xfrm policy`.")
    for direction, action in defaults:
        sheet.put("xfrm", "default", direction, text=f"default {direction} {action}")


def _ask(host: ReadOnlyHost, *more: str) -> str | None:
    """Return what ip says, None where the kernel has no IPsec; raises `Unavailable`."""
    line = " ".join(("ip xfrm policy", *more))
    answer = host.commands.ask("ip", "xfrm", "policy", *more, max_bytes=_MAX_BYTES)
    said = escape(answer.stderr).strip()
    if answer.code == 0:
        return escape(answer.stdout)
    if any(words in said for words in _NO_XFRM):
        return None
    if more and "Invalid argument" in said:
        return ""  # a kernel before 5.15 has no defaults: what no policy is for passes
    first = (said.splitlines() or [f"exit code {answer.code}"])[0]
    advice = "Install iproute2 5.15 or newer." if "is unknown" in said else f"Run `{line}` by hand."
    raise Unavailable(Why.INCOMPATIBLE if "is unknown" in said else Why.OTHER, f"{line}: {first}", advice=advice)


def _policies(told: str | None) -> Iterator[list[str]]:
    """Yield the words of each policy: a line that begins at the margin, and the indented ones below it."""
    words: list[str] = []
    for line in (told or "").splitlines():
        if not line[:1].isspace() and words:
            yield words
            words = []
        words += line.split()
    if words:
        yield words


def _defaults(told: str | None) -> Iterator[tuple[str, str]]:
    """Yield direction and action of each default that is not to accept."""
    for line in (told or "").splitlines():
        direction, colon, action = line.strip().partition(":")
        if colon and action.strip() and action.strip() != "accept":
            yield direction, action.strip()
