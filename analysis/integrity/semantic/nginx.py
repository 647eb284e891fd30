"""nginx: directives that came or went, each with the blocks around it (nginx.org, "Beginner's Guide", configuration file's structure)."""

import re
from collections import Counter
from collections.abc import Iterator

from analysis.integrity.semantic.sentence import Sentence, shown
from contracts.event import Severity

_TOKEN = re.compile(r"#[^\n]*" r'|"(?:[^"\\]|\\.)*"' r"|'(?:[^'\\]|\\.)*'" r"|[{};]" r"|(?:[^\s{};\"'\\]|\\.)+")
_TECHNIQUES = {
    "proxy_pass": ("T1090",),
    "fastcgi_pass": ("T1505.003",),
    "root": ("T1505.003",),
    "alias": ("T1505.003",),
    "load_module": ("T1505",),
    "auth_basic": ("T1556",),
    "auth_request": ("T1556",),
    "access_log": ("T1562",),
    "error_log": ("T1562",),
    "rewrite": ("T1090",),
    "return": ("T1090",),
    "sub_filter": ("T1185",),
    "mirror": ("T1185",),
    "ssl_protocols": ("T1600",),
    "ssl_ciphers": ("T1600",),
    "allow": ("T1562",),
    "deny": ("T1562",),
    "autoindex": ("T1083",),
}
_GRAVE = frozenset({"load_module", "sub_filter", "mirror"})
_RUNS = re.compile(
    r"\w*_by_lua(_block|_file)?\b|js_(content|access|import|header_filter|body_filter|set)\b|perl(_set)?\b"
)
"""Directives whose words are a program, in Lua, JavaScript or Perl."""
_DEPTH = 30


def explain(old: str, new: str) -> list[Sentence]:
    """Return directives that came or went; order and layout are no difference."""
    before, after = Counter(parse(old)), Counter(parse(new))  # a directive may stand in several blocks of one name
    found = [_sentence(one, came=True) for one in after - before]
    return found + [_sentence(one, came=False) for one in before - after]


def parse(text: str) -> Iterator[tuple[str, ...]]:
    """Yield each directive as its words, with the heads of the blocks around it first."""
    blocks: list[str] = []
    words: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token.startswith("#"):
            continue
        if token == "{":
            if len(blocks) < _DEPTH:
                blocks.append(" ".join(words))
            words = []
        elif token == "}":
            if words:  # code of another language, in a block of its own
                yield (*blocks, " ".join(words))
            words = []
            if blocks:
                blocks.pop()
        elif token == ";":
            if words:
                yield (*blocks, " ".join(words))
            words = []
        else:
            words.append(token)


def _sentence(one: tuple[str, ...], came: bool) -> Sentence:
    *blocks, directive = one
    name = directive.partition(" ")[0]
    runs = any(_RUNS.match(each) for each in one)
    where = f" in {shown(' > '.join(blocks))}" if blocks else ""
    off = name in ("access_log", "auth_basic") and directive.endswith(" off")
    severity = Severity.MEDIUM if name in _TECHNIQUES else Severity.LOW
    if came and (name in _GRAVE or off or runs):
        severity = Severity.HIGH
    attack = ("T1505.003",) if runs else _TECHNIQUES.get(name, ())
    verb = "now says" if came else "no longer says"
    return Sentence(text=f"nginx {verb} {shown(directive)}{where}", attack=attack, severity=severity)
