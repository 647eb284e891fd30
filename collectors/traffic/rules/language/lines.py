"""A rules file as text: which lines make a rule, and where each begins."""

import io
from collections.abc import Iterator

LONGEST_RULE = 65_536


def rules(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of every rule in a file; every character of the text is one byte of it.

    A backslash at the end of a line joins it with the next, as Suricata does; empty lines and those that begin with `#` are passed over. A
    byte order mark and carriage returns are not part of any rule.
    """
    begin = 0
    parts: list[str] = []
    # Line by line: a large file of short lines would be many times its size as a list.
    for at, raw in enumerate(io.BytesIO(data.removeprefix(b"\xef\xbb\xbf")), 1):
        line = raw.decode("latin-1").rstrip("\r\n")
        if not parts:
            line = line.lstrip()
            if not line or line[0] == "#":
                continue
            begin = at
        if line.rstrip(" \t").endswith("\\"):
            parts.append(line.rstrip(" \t")[:-1])
            continue
        if parts:
            parts.append(line)
            line = "".join(parts)
            parts = []
        line = line.rstrip()
        if line:
            yield begin, line
    if parts and (line := "".join(parts).rstrip()):
        yield begin, line
