"""How antivirus stands, as a pure function of what is known of it and the time: every finding by its key, with why and what to do.

What decides is the age of the signatures that are at work: those that the daemon has loaded; without a daemon those on the disk.
Being the newest that anybody knows of makes old signatures a warning at most; it does not make them fresh.
"""

from collections.abc import Iterator, Mapping

from contracts.event import Severity
from contracts.subjects.antivirus import CLAMAV, Done, Finding, Product

STALE = "antivirus.signatures_stale"
UNKNOWN = "antivirus.freshness_unknown"
BEHIND = "antivirus.daemon_behind"
SILENT = "antivirus.daemon_silent"
NONE = "antivirus.none_installed"
BROKEN = "antivirus.database_broken"
UNPROVED = "antivirus.unproved"
UNPROTECTED = "antivirus.not_protecting"

RELOAD_S = 1800.0
"""How long after new databases came a daemon may work with the former ones (clamd's SelfCheck looks every ten minutes)."""
LEARNT_S = 172800.0
"""How long what was learnt of the newest version counts."""
_AHEAD_MS = 3_600_000
"""How far in the future a build time may lie before it is not believed."""


def findings(products: Mapping[str, Product], done: Mapping[str, Done], now_ms: int) -> dict[str, Finding]:
    """Return everything that is not as it should be, by key."""
    found: dict[str, Finding] = {}
    for key, product in products.items():
        for part, finding in _product(product, done, now_ms):
            found[f"{key}{part}"] = finding
    if not products:
        found["none"] = Finding(
            product="", kind=NONE, severity=Severity.MEDIUM, detail="no antivirus product was found on this host"
        )
    proof = done.get("proof")
    if proof is not None and proof.valid_s and (why := _unproved(proof, now_ms)):
        found["proof"] = Finding(product=CLAMAV, kind=UNPROVED, severity=Severity.MEDIUM, detail=why)
    return found


def _product(product: Product, done: Mapping[str, Done], now_ms: int) -> Iterator[tuple[str, Finding]]:
    stale = _stale(product, newest(done, product.name, now_ms), now_ms)
    if stale is not None:
        yield "", stale
    if product.daemon == "silent":
        yield "/daemon", _finding(product, SILENT, Severity.HIGH, product.daemon_detail or "it does not answer")
    behind = _behind(product, now_ms)
    if behind:
        yield "/loaded", _finding(product, BEHIND, Severity.HIGH, behind)
    if product.protects is False:
        why = product.daemon_detail or "its realtime protection is switched off"
        yield "/protects", _finding(product, UNPROTECTED, Severity.HIGH, why)
    for database in product.databases:
        if database.flaw or database.signed == "bad":
            why = database.flaw or "its digital signature is not right"
            name = f"{database.name}.{database.form}"
            yield f"/{name}", _finding(product, BROKEN, Severity.HIGH, f"{name}: {why}")


def newest(done: Mapping[str, Done], product: str, now_ms: int) -> Done | None:
    """Return what was learnt of the newest version of `product`, the highest that anybody said of late; None for nothing."""
    said = [
        each
        for key, each in done.items()
        if key.startswith(f"current/{product}/") and 0 <= now_ms - each.at_ms < LEARNT_S * 1000 and each.version >= 0
    ]
    return max(said, key=lambda each: each.version, default=None)


def working(product: Product) -> tuple[int, int]:
    """Return version and build time (Unix ms) of the signatures that are at work; -1 and 0 where not known."""
    if product.daemon == "answers":
        return product.loaded_version, product.loaded_ms
    return product.version, product.built_ms


def _stale(product: Product, current: Done | None, now_ms: int) -> Finding | None:
    version, built_ms = working(product)
    where = "loaded" if product.daemon == "answers" else "on the disk"
    if not built_ms:
        if product.unknown:
            return _finding(product, UNKNOWN, Severity.MEDIUM, "; ".join(product.unknown))
        return _finding(product, STALE, Severity.CRITICAL, f"it has no signatures {where}; {_why(product, now_ms)}")
    if built_ms > now_ms + _AHEAD_MS:
        return _finding(product, UNKNOWN, Severity.MEDIUM, f"the signatures {where} are said to be from the future")
    age_ms = now_ms - built_ms
    if age_ms < product.warn_s * 1000:
        return None
    severity = Severity.CRITICAL if age_ms >= product.critical_s * 1000 else Severity.MEDIUM
    what = f"the signatures {where}"
    if version >= 0:
        what += f" (version {version})"
    what += f" are {span(age_ms)} old"
    if current is not None and version >= current.version:
        what += f", and nothing newer is known of ({current.what.rpartition('/')[2]})"
        return _finding(product, STALE, Severity.MEDIUM, f"{what}; {_why(product, now_ms)}")
    if current is not None:
        what += f", and {current.version} is current ({current.what.rpartition('/')[2]})"
    return _finding(product, STALE, severity, f"{what}; {_why(product, now_ms)}")


def _behind(product: Product, now_ms: int) -> str:
    """Why the daemon's signatures are not those on the disk, "" when they are, or may still be about to be."""
    if product.daemon != "answers" or product.version < 0 or product.loaded_version < 0:
        return ""
    changed_ms = max((each.changed_ms for each in product.databases if each.name == "daily"), default=0)
    if product.loaded_version >= product.version or now_ms - changed_ms < RELOAD_S * 1000:
        return ""
    return (
        f"the daemon works with version {product.loaded_version}, and {product.version} has been on the disk for "
        f"{span(now_ms - changed_ms)}: reload it"
    )


def _why(product: Product, now_ms: int) -> str:
    """Why nothing newer came, as far as the updater tells; what to do about it."""
    updater = product.updater
    if product.provider != CLAMAV:
        return updater.trouble or updater.detail or f"update {product.name} by its own means"
    if product.version > product.loaded_version >= 0 and product.daemon == "answers":
        return "newer ones are on the disk: have the daemon reload them"
    if updater.retry_after_ms > now_ms:
        left = span(updater.retry_after_ms - now_ms)
        return f"the servers asked freshclam to wait another {left}: let fewer hosts ask them, or serve the fleet by a relay"
    if updater.state == "missing":
        return "freshclam is not installed: install clamav-freshclam"
    if updater.trouble:
        return f"freshclam says: {updater.trouble}"
    if updater.state == "stopped":
        return "freshclam does not run: systemctl enable --now clamav-freshclam, or have Holdfast update"
    if updater.state == "unknown":
        return f"what freshclam does is not known ({updater.detail or 'no log, no process'})"
    return "freshclam runs and complains of nothing: see its log"


def _unproved(proof: Done, now_ms: int) -> str:
    if proof.state == "missed":
        return ""  # stated by the proof itself
    if not proof.at_ms:
        return "its detection was never proved by a test file"
    age_ms = now_ms - proof.at_ms
    return "" if age_ms < proof.valid_s * 1000 else f"its detection was last proved {span(age_ms)} ago"


def span(ms: int) -> str:
    """A span of time in words."""
    minutes = max(0, ms) // 60_000
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 72 * 60 else f"{minutes // 1440} days"


def _finding(product: Product, kind: str, severity: Severity, detail: str) -> Finding:
    return Finding(product=product.name, kind=kind, severity=severity, detail=detail)
