"""ClamAV: its databases on the disk, what clamd has loaded, up to where it looks, and how freshclam does."""

import time
from typing import Any

import msgspec

from analysis.antivirus import clamav_conf, cvd
from collectors.antivirus.clamav_databases import databases
from collectors.antivirus.clamav_updater import updater
from collectors.antivirus.options import Options
from contracts.coverage import Blind
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.subjects.antivirus import CLAMAV, Database, Limits, Product

KEY = CLAMAV
_TOOLS = ("clamd", "freshclam", "clamscan")
_STAMP = "%a %b %d %H:%M:%S %Y"


def look(host: ReadOnlyHost, options: Options, before: Product | None, blind: list[Blind]) -> Product | None:
    """Return what there is of ClamAV, None where it is not installed."""
    unknown: list[str] = []
    clamd = _conf(host, options.clamav.clamd_confs(), "clamd's configuration", blind, unknown)
    fresh = _conf(host, options.clamav.freshclam_confs(), "freshclam's configuration", blind, unknown)
    if clamd is None and fresh is None and not unknown and not any(map(host.commands.present, _TOOLS)):
        return None
    folder = (clamd or fresh or clamav_conf.parse("")).text("DatabaseDirectory", clamav_conf.DATABASES)
    known = before.databases if before is not None else ()
    held = databases(host, folder, known, blind, unknown)
    newest = _newest(held)
    product = Product(
        name=KEY,
        provider=CLAMAV,
        version=newest.version if newest is not None and newest.version else -1,
        built_ms=(newest.built_ms or newest.changed_ms) if newest is not None else 0,
        databases=held,
        updater=updater(host, fresh, folder),
        limits=clamav_conf.limits(clamd) if clamd is not None else Limits(),
        warn_s=options.warn_after,
        critical_s=options.critical_after,
        unknown=tuple(unknown),
    )
    return msgspec.structs.replace(product, **_daemon(host, clamd, product, blind))


def _conf(
    host: ReadOnlyHost, paths: tuple[str, ...], what: str, blind: list[Blind], unknown: list[str]
) -> clamav_conf.Conf | None:
    """The first configuration that is there; None where none is, or where it could not be read, which is noted."""
    for path in paths:
        try:
            return clamav_conf.parse(host.files.read(path).decode("utf-8", "replace"))
        except Unavailable as error:
            if error.why is not Why.NOT_PRESENT:
                blind.append(Blind(what=what, why=error.why, detail=error.message, fix=error.advice))
                unknown.append(error.message)
                return None
    return None


def _newest(held: tuple[Database, ...]) -> Database | None:
    """The database that tells how old the signatures are: the daily one, else the one that was built last."""
    usable = [each for each in held if not each.flaw and each.signed != "bad"]
    daily = [each for each in usable if each.name == "daily" and each.built_ms]
    return max(daily or usable, key=lambda each: (each.version, each.built_ms, each.changed_ms), default=None)


def _daemon(host: ReadOnlyHost, conf: clamav_conf.Conf | None, product: Product, blind: list[Blind]) -> dict[str, Any]:
    """What the daemon says of itself; `none` where none is configured."""
    if conf is None or not (found := clamav_conf.addresses(conf)):
        return {"daemon": "unknown" if product.unknown else "none"}
    if not any(address.startswith("unix:") for address in found):
        blind.append(_only_by_port(found[0], product))
    trouble: Unavailable | None = None
    for address in found:
        try:
            engine, version, stamp = cvd.version_of(host.clamd.ask(address, "VERSION"))
        except Unavailable as error:
            trouble = trouble or error
        except Malformed as error:
            trouble = trouble or Unavailable(Why.MALFORMED, error.message)
        else:
            return {
                "daemon": "answers",
                "address": address,
                "engine": engine,
                "loaded_version": version,
                "loaded_ms": _loaded_ms(product, version, stamp),
            }
    assert trouble is not None
    if trouble.why in (Why.PERMISSION, Why.MALFORMED):
        what = "which signatures clamd has loaded"
        blind.append(Blind(what=what, why=trouble.why, detail=trouble.message, fix=trouble.advice))
        return {"daemon": "unknown", "daemon_detail": trouble.message, "unknown": (*product.unknown, trouble.message)}
    return {"daemon": "silent", "daemon_detail": trouble.message}


def _only_by_port(address: str, product: Product) -> Blind:
    """What a daemon that takes no descriptors is not shown."""
    largest = product.limits.stream_bytes or 100 << 20
    return Blind(
        what=f"files over {largest >> 20} MiB, which clamd takes no more of (StreamMaxLength)",
        why=Why.INCOMPATIBLE,
        detail=f"clamd listens only at {address}: files cannot be handed over as descriptors, they are sent",
        fix="Set LocalSocket /run/clamav/clamd.ctl and LocalSocketMode 666 in clamd.conf, then restart clamd.",
    )


def _loaded_ms(product: Product, version: int, stamp: str) -> int:
    """When the loaded signatures were built: as the file of that version says, else as the daemon does, in this host's time zone."""
    for each in product.databases:
        if each.name == "daily" and each.version == version and each.built_ms:
            return each.built_ms
    try:
        return round(time.mktime(time.strptime(stamp, _STAMP)) * 1000)
    except (ValueError, OverflowError):
        # A daemon without a daily database: what it works with are the other files.
        return product.built_ms if version < 0 else 0
