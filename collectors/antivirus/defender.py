"""Microsoft Defender for Endpoint on Linux, as its own tool says."""

from msgspec.structs import replace

from analysis.antivirus import defender
from collectors.antivirus.options import Options
from contracts.coverage import Blind
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.subjects.antivirus import Product, Updater

KEY = "defender"
_ROUND_MS = 60_000
"""It says ages in minutes, so its times are no more exact: rows would change with every look."""


def look(host: ReadOnlyHost, options: Options, blind: list[Blind]) -> Product | None:
    """Return what it says of itself, None where it is not installed."""
    if not host.commands.present("mdatp"):
        return None
    bare = Product(name=KEY, provider=KEY, warn_s=options.warn_after, critical_s=options.critical_after)
    try:
        answer = host.commands.ask("mdatp", "health", "--output", "json", timeout_s=30.0)
        health = defender.parse(answer.stdout, round(host.now().timestamp() * 1000))
    except Unavailable as error:
        return _unseen(bare, error, blind)
    except Malformed as error:
        return _unseen(bare, Unavailable(Why.MALFORMED, error.message, advice="run `mdatp health` by hand"), blind)
    unknown = () if health.built_ms else ("mdatp does not say when its definitions were updated",)
    return replace(
        bare,
        engine=health.engine,
        built_ms=health.built_ms // _ROUND_MS * _ROUND_MS,
        protects=False if health.healthy is False else health.protects,
        daemon_detail=_why_not(health),
        updater=Updater(state="running", detail=f"definitions {health.definitions}", trouble=health.trouble),
        unknown=unknown,
    )


def _why_not(health: defender.Health) -> str:
    """Why it does not protect as it should, by its own words; "" where it says that it is well."""
    said = ["it says that it is not healthy" + (f" ({health.trouble})" if health.trouble else "")]
    said = said if health.healthy is False else []
    if health.protects is False:
        said.append("its realtime protection is switched off")
    return "; ".join(said)


def _unseen(bare: Product, error: Unavailable, blind: list[Blind]) -> Product:
    what = "how fresh the definitions of Microsoft Defender are"
    blind.append(Blind(what=what, why=error.why, detail=error.message, fix=error.advice))
    return replace(bare, unknown=(error.message,))
