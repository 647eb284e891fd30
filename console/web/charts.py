"""Charts as SVG made here: no library, no script, no inline style; each has a title and a text that says the same."""

from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup

from console.store.records import Presence, SeverityCount

HOUR_MS = 3_600_000
QUARTER_MS = HOUR_MS // 4
_WIDTH = 960
_GAP = 2


def presence_chart(heard: Sequence[Presence], since_ms: int, known_ms: int, now_ms: int) -> tuple[Markup, str]:
    """Return 24 hours in quarters of an hour, coloured by how many of their minutes the agent was heard in, and a sentence.

    Quarters before `known_ms` (enrolment) are left grey: nothing is known of them. The minute under way does not count as silent.
    """
    by_hour = {row.hour_ms: row.minutes for row in heard}
    start = -(-since_ms // QUARTER_MS) * QUARTER_MS
    count = max(1, -(-(now_ms - start) // QUARTER_MS))
    step = _WIDTH / count
    bars = []
    heard_minutes = known_minutes = 0
    for index in range(count):
        at = start + index * QUARTER_MS
        yes, of = _quarter(by_hour, at, known_ms, now_ms)
        heard_minutes += yes
        known_minutes += of
        tone = "track" if not of else "up" if yes >= of else "late" if yes else "down"
        height, top = (40, 0) if tone in ("up", "down", "track") else (26, 14)
        told = f"{_clock(at)}: heard in {yes} of {of} minutes" if of else f"{_clock(at)}: not known"
        bars.append(
            Markup('<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}"><title>{}</title></rect>').format(
                tone, index * step, top, max(1.0, step - _GAP), height, told
            )
        )
    said = f"heard in {heard_minutes} of {known_minutes} minutes" if known_minutes else "nothing is known yet"
    return _svg(56, f"Heartbeats: {said}", [*bars, *_hour_labels(start, count, step, QUARTER_MS, 54)]), said


def severity_chart(counts: Sequence[SeverityCount], since_ms: int, now_ms: int) -> tuple[Markup, str]:
    """Return events per hour as stacked bars (calm, medium, high and worse), and a sentence."""
    start = since_ms - since_ms % HOUR_MS + HOUR_MS
    hours = max(1, -(-(now_ms - start) // HOUR_MS))
    table = [[0, 0, 0] for _ in range(hours)]
    for row in counts:
        index = (row.hour_ms - start) // HOUR_MS
        if 0 <= index < hours:
            table[index][2 if row.severity >= 4 else 1 if row.severity == 3 else 0] += row.count
    top = max(1, *(sum(hour) for hour in table))
    step = _WIDTH / hours
    bars = []
    for index, hour in enumerate(table):
        bars.append(
            Markup('<rect class="track" x="{:.1f}" y="69" width="{:.1f}" height="1"/>').format(
                index * step, step - _GAP
            )
        )
        bars.extend(_stack(hour, index * step, step - _GAP, top, _clock(start + index * HOUR_MS)))
    all_events = sum(sum(hour) for hour in table)
    severe = sum(hour[2] for hour in table)
    said = f"{all_events:,} events, {severe:,} of them high or worse" if all_events else "no event"
    labels = _hour_labels(start, hours, step, HOUR_MS, 86)
    return _svg(90, f"Events per hour: {said}; at most {top} in one hour", [*bars, *labels]), said


def _stack(hour: Sequence[int], x: float, width: float, top: int, clock: str) -> list[Markup]:
    out = []
    y = 69.0
    for amount, tone, word in zip(
        hour, ("calm", "late", "down"), ("up to low", "medium", "high or worse"), strict=True
    ):
        height = 64 * amount / top
        y -= height
        if amount:  # narrower than its hour, so that neighbours stay apart
            out.append(
                Markup(
                    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}: {} {}</title></rect>'
                ).format(tone, x + width / 4, y, width / 2, height, clock, amount, word)
            )
    return out


def _quarter(by_hour: dict[int, int], at: int, known_ms: int, now_ms: int) -> tuple[int, int]:
    bits = by_hour.get(at - at % HOUR_MS, 0)
    first = at % HOUR_MS // 60_000
    yes = of = 0
    for minute in range(15):
        minute_ms = at + minute * 60_000
        heard = bits >> (first + minute) & 1
        if heard or (minute_ms >= known_ms and minute_ms + 60_000 <= now_ms):
            of += 1
            yes += heard
    return yes, of


def _hour_labels(start: int, count: int, step: float, each_ms: int, y: int) -> list[Markup]:
    out = []
    for index in range(count):
        at = start + index * each_ms
        if at % (4 * HOUR_MS) == 0 and index * step < _WIDTH - 30:
            out.append(Markup('<text x="{:.1f}" y="{}">{}</text>').format(index * step, y, _clock(at)))
    return out


def _svg(height: int, title: str, parts: Sequence[Markup]) -> Markup:
    head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(_WIDTH, height, title)
    return head + Markup("").join(parts) + Markup("</svg>")


def _clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M")
