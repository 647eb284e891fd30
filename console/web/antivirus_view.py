"""Antivirus of one server as its page shows it: products, how old the signatures at work are, what is wrong, when it was proved."""

from collections.abc import Mapping
from typing import NamedTuple

from console.store.records import AgentDetail, Subject
from console.web import words
from console.web.rows import read, unread_words
from console.web.sight_view import current
from contracts.subjects.antivirus import Done, Finding, Product

FRESH = words.Sign("Fresh", "up", "good", "The signatures that it works with are recent, and nothing is wrong.")
WARN = words.Sign("Look at it", "late", "warn", "Something is not as it should be.")
BAD = words.Sign("Not protecting", "down", "bad", "Its signatures are too old, or it does not work.")
UNKNOWN = words.Sign(
    "Not known", "blind", "warn", "What it works with could not be found out: it is not taken to be fresh."
)
_MEDIUM, _HIGH = 3, 4
_DEEDS = {"update": "Signatures", "scan": "Scan", "proof": "Proof"}


class ProductRow(NamedTuple):
    """One product, in words."""

    key: str
    engine: str
    sign: words.Sign
    details: tuple[str, ...]
    built_ms: int
    version: str
    daemon: str
    updater: str


class DeedRow(NamedTuple):
    """What was done last of one kind, in words."""

    name: str
    sign: words.Sign
    detail: str
    at_ms: int


class AntivirusView(NamedTuple):
    """The tables with their summary and tone, or the reason why they are empty."""

    rows: tuple[ProductRow, ...]
    deeds: tuple[DeedRow, ...]
    summary: str
    tone: str
    word: str
    reason: str
    dated: str


def antivirus_view(
    detail: AgentDetail, products: Subject | None, runs: Subject | None, states: Subject | None
) -> AntivirusView:
    """Return every product that the agent reported, and what was done last."""
    known, unread, example = read(products.rows, Product) if products else ({}, 0, "")
    judged, _, _ = read(states.rows, Finding) if states else ({}, 0, "")
    done, _, _ = read(runs.rows, Done) if runs else ({}, 0, "")
    proven = current(detail.agent)
    rows = tuple(_row(key, product, judged if states else None, proven) for key, product in sorted(known.items()))
    deeds = tuple(_deed(name, done[key], proven) for key, name in _DEEDS.items() if key in done)
    signs = (*(row.sign for row in rows), *(deed.sign for deed in deeds))
    tone = next((tone for tone in ("bad", "warn") if any(sign.tone == tone for sign in signs)), "")
    if products is not None and not known and not unread:
        tone = "warn"
    word, reason = ("Not understood", unread_words(unread, example)) if unread and not known else _why_empty(products)
    dated = f"Looked at {words.moment(products.at_ms)} by the server's clock." if products and rows else ""
    notes = " ".join(part for part in (dated, unread_words(unread, example) if rows else "") if part)
    return AntivirusView(rows, deeds, _summary(rows), tone, word, reason, notes)


def _row(key: str, product: Product, judged: Mapping[str, Finding] | None, proven: bool) -> ProductRow:
    about = [each for name, each in (judged or {}).items() if name == key or name.startswith(f"{key}/")]
    worst = max((each.severity for each in about), default=0)
    sign = BAD if worst >= _HIGH else WARN if worst >= _MEDIUM else FRESH
    if judged is None or (worst < _HIGH and any(each.kind == "antivirus.freshness_unknown" for each in about)):
        sign = UNKNOWN
    if not proven and sign.tone == "good":
        sign = words.faded(sign)._replace(word="Was fresh", meaning="It was so then; what is true now is not known.")
    answers = product.daemon == "answers"
    version = product.loaded_version if answers else product.version
    behind = f", {product.version} on the disk" if answers and product.version > version >= 0 else ""
    return ProductRow(
        key=key,
        engine=product.engine,
        sign=sign,
        details=tuple(each.detail for each in about),
        built_ms=product.loaded_ms if answers else product.built_ms,
        version=f"{version}{behind}" if version >= 0 else "",
        daemon={"none": "", "answers": "answers"}.get(product.daemon, f"{product.daemon}: {product.daemon_detail}"),
        updater=product.updater.state + (f": {product.updater.trouble}" if product.updater.trouble else ""),
    )


def _deed(name: str, done: Done, proven: bool) -> DeedRow:
    good = done.state in ("updated", "scanned", "proved")
    numbers = done.numbers
    parts = [done.detail]
    if "detected_ms" in numbers:
        parts = [f"detected after {numbers['detected_ms']:.0f} ms", parts[0]]
    if "files" in numbers:
        found = numbers.get("infected", 0.0)
        parts = [f"{numbers['files']:.0f} files, {found:.0f} infected, {numbers.get('unscanned', 0):.0f} not scanned"]
        good = good and not found
    tone = "good" if good else "warn" if done.state in ("held back", "never") else "bad"
    icon = {"good": "up", "warn": "unproven", "bad": "down"}[tone]
    sign = words.Sign(done.state.capitalize(), icon, tone, "")
    return DeedRow(name, sign if proven else words.faded(sign), "; ".join(part for part in parts if part), done.at_ms)


def _summary(rows: tuple[ProductRow, ...]) -> str:
    if not rows:
        return ""
    fresh = sum(row.sign.tone == "good" for row in rows)
    return f"{words.plural(len(rows), 'product')}, {fresh} fresh"


def _why_empty(products: Subject | None) -> tuple[str, str]:
    if products is None:
        return "Not looked at", "The agent has not reported on antivirus yet, or does not look at it."
    return "No antivirus", "No antivirus product is known on this server. That is a finding, not a failure to look."
