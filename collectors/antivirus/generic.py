"""A product that the settings describe: the time of its signatures in a command's answer or a file, or the file's last change."""

import re
import time
from datetime import UTC, datetime

from msgspec.structs import replace

from collectors.antivirus.options import Options, ProductOptions
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.subjects.antivirus import Product, Updater

_MOST = 1 << 20


def look(host: ReadOnlyHost, options: Options, name: str, wanted: ProductOptions, blind: list[Blind]) -> Product:
    """Return the product's row. It is named in the settings, so it is there; what cannot be found out is unknown, not fresh."""
    bare = Product(
        name=name,
        provider="configured",
        warn_s=options.warn_after,
        critical_s=options.critical_after,
        updater=Updater(state="unknown", detail=f"update {name} by its own means"),
    )
    try:
        return replace(bare, built_ms=_built_ms(host, wanted))
    except Unavailable as error:
        what = f"how fresh the signatures of {name} are"
        # It is named in the settings: that nothing of it is there is no finding, but a failure to look.
        why = Why.OTHER if error.why is Why.NOT_PRESENT else error.why
        fix = error.advice or "install it, or correct collectors.antivirus.products"
        blind.append(Blind(what=what, why=why, detail=error.message, fix=fix))
        return replace(bare, unknown=(error.message,))


def _built_ms(host: ReadOnlyHost, wanted: ProductOptions) -> int:
    if wanted.file and not wanted.pattern:
        return host.files.stat(wanted.file).mtime_ns // 1_000_000
    if wanted.file:
        text = host.files.head(wanted.file, _MOST).decode("utf-8", "replace")
    else:
        answer = host.commands.configured(*wanted.command)
        text = (answer.stdout + answer.stderr).decode("utf-8", "replace")
    found = re.search(wanted.pattern, text)
    where = wanted.file or wanted.command[0]
    if found is None or found[1] is None:
        raise Unavailable(Why.MALFORMED, f"what {where} says does not match the pattern", advice="mend the pattern")
    try:
        return _ms(found[1].strip(), wanted.time)
    except (ValueError, OverflowError) as error:
        message = f"{found[1][:60]!r} of {where} is no time as {wanted.time} has it"
        raise Unavailable(Why.MALFORMED, message, advice="mend `time` or the pattern") from error


def _ms(text: str, form: str) -> int:
    """Unix ms; a time without a zone is one of this host."""
    if form == "unix":
        return round(float(text) * 1000)
    if form == "iso":
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.astimezone(UTC)).timestamp() * 1000)
    if "%z" in form:
        return round(datetime.strptime(text, form).timestamp() * 1000)
    return round(time.mktime(time.strptime(text, form)) * 1000)
