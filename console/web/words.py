"""How the console says things: states, severities, ages, sizes and times in words, each with a shape of its own.

Nothing is told by colour alone: a `Sign` names the icon, the word and the tone, and the templates print all three.
"""

from datetime import UTC, datetime
from typing import NamedTuple


class Sign(NamedTuple):
    """One state as it is shown: `icon` is a symbol of icons.svg, `tone` one of good, warn, bad or empty, `meaning` a sentence."""

    word: str
    icon: str
    tone: str
    meaning: str


STATES = {
    "up": Sign("Up", "up", "good", "Heartbeats arrive on time and everything it is meant to see is seen."),
    "late": Sign("Late", "late", "warn", "A heartbeat is overdue, but not yet long enough to call the server down."),
    "down": Sign("Down", "down", "bad", "No heartbeat for longer than the grace period."),
    "degraded": Sign("Degraded", "degraded", "warn", "Heartbeats arrive, but something cannot be seen or is lost."),
    "never": Sign(
        "Never reported", "unproven", "", "Enrolled, but no report has arrived yet: nothing is known about it."
    ),
    "duplicate": Sign(
        "Duplicate", "duplicate", "bad", "Two machines report under this identity; one of them is a copy."
    ),
    "revoked": Sign("Revoked", "revoked", "", "Its certificate is revoked; whatever it sends is refused."),
}
UNKNOWN_STATE = Sign("Unknown", "unproven", "", "This console does not know the state; it may be older than its data.")
STATE_ORDER = ("down", "duplicate", "late", "degraded", "never", "up", "revoked")

SEVERITIES = {
    0: Sign("Unknown", "unproven", "", ""),
    1: Sign("Info", "sev-info", "", ""),
    2: Sign("Low", "sev-low", "", ""),
    3: Sign("Medium", "sev-medium", "warn", ""),
    4: Sign("High", "sev-high", "bad", ""),
    5: Sign("Critical", "sev-critical", "bad", ""),
    6: Sign("Fatal", "sev-critical", "bad", ""),
}

SIGHTS = {
    "seen": Sign("Seen", "eye", "good", "Everything of this subject was seen at the time stated."),
    "partial": Sign("Partly seen", "degraded", "warn", "Some of it could not be seen; the list says what and why."),
    "unseen": Sign("Not seen", "blind", "bad", "It could not be looked at; what is true there is not known."),
    "absent": Sign("None here", "unproven", "", "It was looked for, and this server has none of it."),
    "unknown": Sign("Not looked yet", "unproven", "", "No look has ended yet, so nothing is known."),
}

WHY = {
    "tool_missing": "a tool is missing",
    "permission": "permission is missing",
    "not_present": "this host has none",
    "incompatible": "a tool's answer does not say everything",
    "timeout": "it took too long",
    "too_large": "too large",
    "worker_down": "its worker is not running",
    "disabled": "switched off in the configuration",
    "malformed": "the answer could not be understood",
    "other": "another reason",
}

WORKER_TONES = {"running": "good", "idle": "", "starting": "", "backing_off": "bad", "stopped": "warn"}


def faded(sign: Sign) -> Sign:
    """Return a sign without its green: what was good once and is not proven now."""
    return sign._replace(tone="") if sign.tone == "good" else sign


def state_sign(state: str) -> Sign:
    """Return how `state` is shown; a state that this console does not know is shown as unknown, never as good."""
    return STATES.get(state, UNKNOWN_STATE)


def severity_sign(severity: int) -> Sign:
    """Return how an OCSF `severity_id` is shown."""
    return SEVERITIES.get(severity, SEVERITIES[0])


def sight_sign(state: str) -> Sign:
    """Return how the view of a subject is shown."""
    return SIGHTS.get(state, SIGHTS["unknown"])


def why_words(why: str) -> str:
    """Return the reason from the closed list in words."""
    return WHY.get(why, why)


def moment(at_ms: int) -> str:
    """Return `at_ms` (Unix ms) as `2026-11-21 18:30:02 UTC`; "never" for 0, and for what no calendar holds."""
    when = _datetime(at_ms)
    return "never" if when is None else when.strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(at_ms: int) -> str:
    """Return `at_ms` as RFC 3339 with milliseconds, or "" where `moment` says never."""
    when = _datetime(at_ms)
    return "" if when is None else when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def age(at_ms: int, now_ms: int) -> str:
    """Return how long ago `at_ms` is, as the page's script says it too."""
    if not at_ms:
        return "never"
    seconds = (now_ms - at_ms) / 1000
    return "just now" if seconds < 0 else f"{duration(seconds)} ago"


def duration(seconds: float) -> str:
    """Return a span in its largest useful unit: `42 s`, `12 min`, `5 h`, `3 days`."""
    for limit, unit, word in ((90, 1, "s"), (5400, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // unit)} {word}"
    return f"{int(seconds // 86400)} days"


def size(count: int) -> str:
    """Return `count` bytes in binary units."""
    number = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(number) < 1024:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def plural(count: int, one: str, many: str = "") -> str:
    """Return `1 rule` or `3 rules`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _datetime(at_ms: int) -> datetime | None:
    if not at_ms:
        return None
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return None
