"""What an agent sees, as the pages tell it: seen with its date, partly seen with the list, not seen with reason and fix, never looked."""

from typing import NamedTuple

from console.store.records import Agent, AgentDetail, State, Subject
from console.web import words
from contracts.coverage import Blind, Coverage, Sight
from contracts.errors import Why

STATE_RANK = {"unseen": 0, "partial": 1, "unknown": 2, "seen": 3}


class SightView(NamedTuple):
    """One subject: its sign, when it was last wholly looked at, and what is missing."""

    subject: str
    state: str
    sign: words.Sign
    dated: str
    blind: tuple[Blind, ...]


class CoverageView(NamedTuple):
    """All subjects of an agent, the worst first, and one sentence about them."""

    summary: str
    tone: str
    sights: tuple[SightView, ...]
    unknown: str = ""


def coverage_view(detail: AgentDetail) -> CoverageView:
    """Return the coverage that the last heartbeat stated."""
    heartbeat = detail.heartbeat
    if heartbeat is None:
        return CoverageView("", "", (), "No heartbeat has arrived. Run holdfast diagnose on the server.")
    sights = sorted(heartbeat.coverage.sights, key=lambda sight: (STATE_RANK.get(sight.state, 2), sight.subject))
    if not sights:
        return CoverageView(
            "", "", (), "The agent has not looked at anything yet; its first looks end within a minute."
        )
    whole = sum(1 for sight in sights if sight.state == "seen")
    bad = any(sight.state in ("unseen", "partial") for sight in sights)
    stated = f"stated by the heartbeat of {words.moment(detail.agent.heartbeat_ms)}"
    return CoverageView(
        summary=f"{whole} of {words.plural(len(sights), 'subject')} wholly seen, {stated}",
        tone="warn" if bad else "",
        sights=tuple(_sight(sight, current(detail.agent)) for sight in sights),
    )


def sight_of(coverage: Coverage, subject: str) -> Sight | None:
    """Return the agent's own statement about `subject`, or None when it made none."""
    return next((sight for sight in coverage.sights if sight.subject == subject), None)


def why_empty(sight: Sight | None, subject: Subject | None, noun: str) -> tuple[str, str]:
    """Return a headline and a sentence for a subject without rows: none there, not seen, or never looked are different things."""
    if sight is not None and sight.state == "unseen":
        spots = "; ".join(_spot(spot) for spot in sight.blind) or "the agent gave no reason"
        return "Not seen", f"Whether there are {noun} is not known: {spots}"
    if subject is None or sight is None or sight.state == "unknown":
        return "Not looked yet", f"No look at the {noun} has arrived, so it is not known whether there are any."
    if not subject.complete:
        return "Still arriving", f"The {noun} are on their way in several parts."
    missing = " (some could not be seen, see Coverage)" if sight.state == "partial" else ""
    return "None", f"The agent looked at {words.moment(subject.at_ms)} and there were none{missing}."


def dated(sight: Sight | None, subject: Subject | None) -> str:
    """Return when rows were true: the last complete look, by the server's clock."""
    if subject is None:
        return ""
    looked = max(subject.at_ms, sight.last_ok_ms if sight else 0)
    text = f"Seen at {words.moment(looked)} by the server's clock (revision {subject.revision})."
    if not subject.complete:
        text += " Further parts are still arriving."
    if sight is not None and sight.state == "unseen":
        text += f" Since {words.moment(sight.since_ms)} it cannot be looked at: what is shown may no longer be true."
    return text


def current(agent: Agent) -> bool:
    """Say whether what the agent said last still counts as proof: not once it is silent, shut out, or two machines."""
    return agent.state in (State.UP, State.DEGRADED, State.LATE)


def _sight(sight: Sight, proven: bool) -> SightView:
    if sight.state == "seen" and any(
        spot.what == sight.subject and spot.why is Why.NOT_PRESENT for spot in sight.blind
    ):
        when = f"looked for at {words.moment(sight.last_ok_ms)}" if sight.last_ok_ms else "no dated look"
        sign = words.sight_sign("absent")
        if not proven:
            sign = sign._replace(word="Was none here", meaning="There was none then; what is true now is not known.")
        return SightView(sight.subject, "absent", sign, when, sight.blind)
    if sight.state == "seen":
        when = f"at {words.moment(sight.last_ok_ms)}, {words.plural(sight.rows, 'row')}"
        if not sight.last_ok_ms:
            return SightView(sight.subject, "unknown", words.sight_sign("unknown"), "no dated look", sight.blind)
    else:
        when = f"last wholly looked at: {words.moment(sight.last_ok_ms)}"
    sign = words.sight_sign(sight.state)
    if not proven and sight.state == "seen":
        sign = words.faded(sign)._replace(word="Was seen", meaning="It was seen then; what is true now is not known.")
    return SightView(sight.subject, sight.state, sign, when, sight.blind)


def _spot(spot: Blind) -> str:
    known = Why(spot.why)
    reason = f"{words.why_words(known)}." if known is not Why.OTHER or not spot.detail else ""
    return " ".join(part for part in (f"{spot.what}:", reason, spot.detail, spot.fix) if part)
