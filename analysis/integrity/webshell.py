"""Weighs files of a web root: whether one runs what visitors send, hides that it does, or lies where no code belongs.

Pure, and by words alone: strings that are pieced together are joined, simple variables are followed by one step. What is found is a reason
with a weight, never a proof; the labelled set in the tests says how often it is right (ATT&CK T1505.003).
"""

import re
from collections.abc import Iterator

from analysis.integrity.webshell_words import (
    CALLS,
    CHAIN,
    DECODERS,
    INCLUDES,
    LANGUAGES,
    OTHER_LANGUAGES,
    PHP_INPUT,
    SINKS,
    entropy,
    joined,
    language,
    literals,
    without_comments,
)
from contracts.record import Record

STRONG, MEDIUM, WEAK = 100, 40, 15
SUSPICIOUS = 40
MOST_BYTES = 2 << 20
"""More of a file is not read; web shells are small, and what hides behind megabytes is told by its entropy."""
_UPLOADS = re.compile(r"/(uploads?|images?|img|media|files|avatars|cache|tmp|temp|attachments|thumbs?)/", re.I)
_MEDIA = re.compile(r"\.(jpe?g|png|gif|ico|bmp|webp|svg|txt|css|log|pdf|woff2?|ttf|dat|bak)$", re.I)
_LONG_LITERAL = 400
_STATEMENT, _MOST_VARIABLES = 1500, 50
_MOST_OTHER = 256 << 10
_CLEANED = re.compile(
    r"\b(intval|escapeshellarg|escapeshellcmd|in_array|array_key_exists|isset|count|htmlspecialchars)\b|\(int\)"
)
_DENSE = 5.0
"""Bits a letter from which a long literal reads as packed data; prose has about 4.2, base64 close to 6."""


class Verdict(Record):
    """How much speaks for a web shell: `weight` 0 for nothing, from `SUSPICIOUS` on worth a look, from `STRONG` on likely one."""

    weight: int = 0
    language: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def strong(self) -> bool:
        """Whether it is one by all appearance."""
        return self.weight >= STRONG

    @property
    def suspicious(self) -> bool:
        """Whether it is worth a look."""
        return self.weight >= SUSPICIOUS


def weigh(path: str, content: bytes, executable: bool = False) -> Verdict:
    """Return what speaks for a web shell in a file at `path`, below a web root; `executable` is whether a mode bit says so."""
    if content.startswith(b"\x7fELF"):
        reasons = [(MEDIUM if not executable else STRONG, "a program of the machine in a web root")]
        return _verdict("elf", reasons)
    text = content[:MOST_BYTES].decode("latin-1")
    name = language(path, text)
    if not name:
        return Verdict()
    reasons = list(_place(path, name))
    if name == "php":
        reasons += _php(text)
    elif name == "htaccess":
        reasons += _htaccess(text)
    else:
        reasons += _other(name, text)
    return _verdict(name, reasons)


def _verdict(name: str, reasons: list[tuple[int, str]]) -> Verdict:
    unique = dict.fromkeys((why, weight) for weight, why in sorted(reasons, reverse=True))
    return Verdict(weight=sum(weight for _, weight in unique), language=name, reasons=tuple(why for why, _ in unique))


def _place(path: str, name: str) -> Iterator[tuple[int, str]]:
    """Yield what the place alone says: code where pictures belong, or in a file that calls itself one."""
    if name in LANGUAGES and _MEDIA.search(path):
        yield STRONG, f"{name} code in a file that calls itself something else"
    elif name in LANGUAGES and _UPLOADS.search(path) and not path.endswith("/index.php"):
        yield WEAK, f"{name} code where visitors' files lie"


def _php(text: str) -> Iterator[tuple[int, str]]:
    code = joined(without_comments(_php_parts(text)))
    tainted = _tainted(code)
    source = _or(PHP_INPUT, tainted)
    yield from _runs_input(code, source)
    yield from _hides(code)
    for match in re.finditer(r"\b(?:file_put_contents|fwrite|fputs)\s*\(([^;]{0,300})", code):
        first, _, rest = match[1].partition(",")
        if re.search(source, first) and re.search(source, rest):
            yield STRONG, "writes what visitors send to a name that visitors send"
        elif re.search(source, rest) and re.search(r"\.(php|phtml|phar)", first):
            yield STRONG, "writes what visitors send into a file that runs"
    for match in re.finditer(INCLUDES, code):
        if re.search(PHP_INPUT, match[1]) and not re.search(r"\b(basename|in_array|intval|realpath)\b", match[1]):
            yield STRONG, "runs a file that visitors name"
        elif re.search(r"['\"](/tmp/|/dev/shm/|data:|php://input|https?://)|\.(jpe?g|png|gif|ico|txt)['\"]", match[1]):
            yield STRONG, "runs a file from a place where no code belongs"


def _php_parts(text: str) -> str:
    """Return what stands between the marks of PHP; markup around it says nothing."""
    parts = re.findall(r"<\?(?:php\b|=|(?=\s))(.*?)(?:\?>|\Z)", text, re.S | re.I)
    return ";\n".join(parts)


def _tainted(code: str) -> list[str]:
    """Return the variables that were assigned what visitors send, followed through one more assignment."""
    found: list[str] = []
    statements = [text[:_STATEMENT] for text in code.split(";")]
    for _ in range(2):
        source = re.compile(_or(PHP_INPUT, found))
        for statement in statements:
            each = re.search(r"\bforeach\s*\((.*?)\bas\b(.{0,100})", statement, re.S)
            if each is not None and source.search(each[1]):
                found += [name for name in re.findall(r"\$\w+", each[2]) if name not in found]
            match = re.search(r"(\$\w+)\s*(?:\[[^\]]*\]\s*)?\.?=(?![=>])(.*)", statement, re.S)
            if match is None or match[1] in found or len(found) >= _MOST_VARIABLES or not source.search(match[2]):
                continue
            if _CLEANED.search(match[2]) is None:
                found.append(match[1])
    return found


def _or(pattern: str, names: list[str]) -> str:
    return f"(?:{'|'.join([pattern, *(re.escape(name) + r'(?![A-Za-z0-9_])' for name in names)])})"


def _runs_input(code: str, source: str) -> Iterator[tuple[int, str]]:
    for match in re.finditer(rf"(?<![\w>:$])@?({SINKS})\s*\(([^;]{{0,400}})", code, re.I):
        sink, arguments = match[1].lower(), match[2]
        if re.search(source, arguments) and not re.search(r"\bescapeshell(arg|cmd)\b", arguments):
            yield STRONG, f"{sink} of what visitors send"
        elif sink in ("eval", "assert") and re.search(rf"\b({DECODERS})\s*\(", arguments, re.I):
            yield STRONG, f"{sink} of what was packed"
    if re.search(rf"{PHP_INPUT}\s*(\[[^\]]*\])?\s*\(", code) or re.search(
        rf"\$\w+\s*(\[[^\]]*\])?\s*\(\s*@?{PHP_INPUT}", code
    ):
        yield STRONG, "calls a function that is named at run time, with what visitors send"
    if re.search(rf"`[^`]*{source}[^`]*`", code):
        yield STRONG, "a shell command made of what visitors send"
    if re.search(rf"\b({CALLS})\s*\(\s*({source}|['\"]({SINKS})['\"]\s*,[^;]{{0,200}}{source})", code, re.I):
        yield STRONG, "calls back what visitors name"
    if re.search(r"preg_replace\s*\(\s*(['\"])(\W).*?\2[a-z]*e[a-z]*\1", code, re.I):
        yield STRONG, "preg_replace that runs its replacement"


def _hides(code: str) -> Iterator[tuple[int, str]]:
    """Yield signs of hiding: names of calls in pieces, packed data that is unpacked to be run, letters by number."""
    if re.search(rf"\$(\w+)\s*=\s*['\"]({SINKS}|create_function)['\"]\s*;[\s\S]{{0,2000}}\$\1\s*\(", code, re.I):
        yield STRONG, "a dangerous call by a name kept in a variable"
    if re.search(CHAIN, code, re.I):
        yield MEDIUM, "unpacks packed data in several steps"
    if len(re.findall(r"\bchr\s*\(\s*\d+\s*\)\s*\.", code)) > 8:
        yield MEDIUM, "text made letter by letter of numbers"
    runs = re.search(rf"(?<![\w>:$])(eval|assert|create_function|{CALLS})\s*\(", code, re.I)
    dense = [
        text for text in literals(code) if len(text) > _LONG_LITERAL and entropy(text) > _DENSE and " " not in text
    ]
    if dense and runs:
        yield STRONG, "runs what is packed into a long text"
    elif dense and re.search(rf"\b({DECODERS})\s*\(", code):
        yield WEAK, "a long packed text"
    if re.search(r"\$\{?['\"]?GLOBALS['\"]?\}?\s*\[\s*['\"]\w+['\"]\s*\]\s*(\[[^\]]+\]\s*)?\(", code):
        yield MEDIUM, "calls through a table of globals"


def _htaccess(text: str) -> Iterator[tuple[int, str]]:
    for line in text.splitlines():
        if re.match(r"\s*(AddHandler|AddType|SetHandler)\b.*php", line, re.I) and re.search(
            r"\.(jpe?g|png|gif|ico|txt|html?|css)\b", line, re.I
        ):
            yield STRONG, "has pictures or texts run as PHP"
        if re.match(r"\s*php_(admin_)?value\s+auto_(prepend|append)_file\b", line, re.I):
            yield (
                STRONG if re.search(r"/tmp/|\.(jpe?g|png|gif|ico|txt)\b|https?:|data:|php://", line, re.I) else WEAK,
                "has a file run before every other",
            )


def _other(name: str, text: str) -> Iterator[tuple[int, str]]:
    for pattern, why, weight in OTHER_LANGUAGES.get(name, ()):
        if re.search(pattern, text[:_MOST_OTHER], re.I | re.S):
            yield weight, why
