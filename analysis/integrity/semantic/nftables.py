"""nftables.conf: rules, policies and sets that came or went, by table and chain (nft(8)); the kernel's own are the firewall collector's."""

import re
from collections import Counter
from collections.abc import Iterator

from analysis.integrity.semantic.sentence import Sentence, shown
from contracts.event import Severity

_OPENS = re.compile(r"\b(accept|policy accept)\b")
_DEPTH = 10


def explain(old: str, new: str) -> list[Sentence]:
    """Return statements that came or went. A file that is loaded at boot only says what will hold then."""
    before, after = list(parse(old)), list(parse(new))
    found = [_sentence(one, came=True) for one in Counter(after) - Counter(before)]
    found += [_sentence(one, came=False) for one in Counter(before) - Counter(after)]
    if not found and before != after:
        return [Sentence(text="the order of nftables' rules changed", attack=("T1562.004",), severity=Severity.MEDIUM)]
    return found


def parse(text: str) -> Iterator[tuple[str, ...]]:
    """Yield each statement with the heads of the blocks around it; sets' elements stay in one statement."""
    blocks: list[str] = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        for piece in _pieces(re.sub(r'#(?=(?:[^"]*"[^"]*")*[^"]*$).*', "", line)):
            if piece.endswith("{") and len(blocks) < _DEPTH:
                blocks.append(" ".join(piece[:-1].split()))
            elif piece == "}":
                if blocks:
                    blocks.pop()
            else:
                yield (*blocks, " ".join(piece.split()))


def _pieces(line: str) -> Iterator[str]:
    """Yield statements, heads of blocks with their brace, and closing braces; braces within a statement (sets) belong to it."""
    depth, held = 0, ""
    for letter in line:
        if letter == "{" and re.match(
            r"\s*(table|chain|set|map|flowtable|counter|quota|limit|ct|secmark|synproxy)\b[^{]*$", held
        ):
            yield held.strip() + "{"
            held = ""
        elif letter == "}" and not depth:
            if held.strip():
                yield held.strip()
            yield "}"
            held = ""
        elif letter == ";" and not depth:
            if held.strip():
                yield held.strip()
            held = ""
        else:
            depth += (letter == "{") - (letter == "}")
            held += letter
    if held.strip():
        yield held.strip()


def _sentence(one: tuple[str, ...], came: bool) -> Sentence:
    *blocks, statement = one
    where = f" in {shown(' > '.join(blocks))}" if blocks else ""
    what = "nftables.conf gained" if came else "nftables.conf lost"
    opens = came and _OPENS.search(statement) is not None
    closes = not came and re.search(r"\b(drop|reject)\b", statement) is not None
    cleared = came and statement.startswith("flush ruleset")
    grave = opens or closes or "policy accept" in statement
    severity = Severity.HIGH if grave and "policy" in statement else Severity.MEDIUM if grave else Severity.LOW
    if cleared:
        severity = Severity.LOW  # how most such files begin
    return Sentence(text=f"{what} {shown(statement)}{where}", attack=("T1562.004",), severity=severity)
