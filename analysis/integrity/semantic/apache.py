"""Apache httpd: directives that came or went, with the sections around each; .htaccess, too (httpd.apache.org, "Configuration Files")."""

from collections import Counter
from collections.abc import Iterator

from analysis.integrity.semantic.sentence import Sentence, shown
from contracts.event import Severity

_TECHNIQUES = {
    "loadmodule": ("T1505",),
    "addhandler": ("T1505.003",),
    "sethandler": ("T1505.003",),
    "addtype": ("T1505.003",),
    "php_value": ("T1505.003",),
    "php_admin_value": ("T1505.003",),
    "scriptalias": ("T1505.003",),
    "documentroot": ("T1505.003",),
    "alias": ("T1505.003",),
    "proxypass": ("T1090",),
    "proxypassmatch": ("T1090",),
    "rewriterule": ("T1090",),
    "redirect": ("T1090",),
    "require": ("T1556",),
    "authtype": ("T1556",),
    "options": ("T1505.003",),
    "allowoverride": ("T1505.003",),
    "customlog": ("T1562",),
    "errorlog": ("T1562",),
    "sslprotocol": ("T1600",),
    "substitute": ("T1185",),
}
_GRAVE = frozenset({"addhandler", "sethandler", "php_value", "php_admin_value", "loadmodule", "substitute"})


def explain(old: str, new: str) -> list[Sentence]:
    """Return directives that came or went; case of names and layout are no difference."""
    before, after = Counter(parse(old)), Counter(parse(new))  # a directive may stand in several blocks of one name
    found = [_sentence(one, came=True) for one in after - before]
    return found + [_sentence(one, came=False) for one in before - after]


def parse(text: str) -> Iterator[tuple[str, ...]]:
    """Yield each directive (its name in lower case), with the heads of the sections around it first."""
    sections: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        plain = " ".join(line.split())
        if not plain or plain.startswith("#"):
            continue
        if plain.startswith("</"):
            if sections:
                sections.pop()
        elif plain.startswith("<"):
            sections.append(plain.strip("<> "))
        else:
            name, _, rest = plain.partition(" ")
            yield (*sections, f"{name.lower()} {rest}".strip())


def _sentence(one: tuple[str, ...], came: bool) -> Sentence:
    *sections, directive = one
    name = directive.partition(" ")[0]
    where = f" in {shown(' > '.join(sections))}" if sections else ""
    severity = Severity.MEDIUM if name in _TECHNIQUES else Severity.LOW
    if came and (name in _GRAVE or "execcgi" in directive.lower() or "auto_prepend_file" in directive.lower()):
        severity = Severity.HIGH
    verb = "now says" if came else "no longer says"
    text = f"Apache {verb} {shown(directive)}{where}"
    return Sentence(text=text, attack=_TECHNIQUES.get(name, ()), severity=severity)
