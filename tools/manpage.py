"""Manual pages in man(7) macros, written from the commands and the settings so that they cannot disagree with them."""

import re
from collections.abc import Iterator

import click


def escape(text: str) -> str:
    """Return `text` safe for roff: no escapes, no line that starts a request."""
    lines = text.replace("\\", "\\e").replace("-", "\\-").split("\n")
    return "\n".join(f"\\&{line}" if line[:1] in {".", "'"} else line for line in lines)


def _inline(text: str) -> str:
    """Turn backquoted words into bold."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(f"\\fB{escape(part)}\\fR" if odd % 2 else escape(part) for odd, part in enumerate(parts))


def heading(name: str, section: int, date: str, version: str) -> str:
    """Return the title line of a page."""
    return f'.TH {name.upper()} {section} "{date}" "Holdfast {version}" "Holdfast"'


def paragraphs(text: str) -> Iterator[str]:
    """Yield roff for plain paragraphs that are separated by blank lines."""
    for block in re.split(r"\n\s*\n", text.strip()):
        if block.strip():
            yield ".PP"
            yield _inline(" ".join(block.replace("\b", "").split()))


def _parameters(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        yield ".TP"
        yield f"\\fB{escape(record[0])}\\fR"
        yield _inline(record[1]) or "\\&"


def commands(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield roff for `command` and everything below it, one subsection each."""
    usage = " ".join(command.collect_usage_pieces(context))
    yield f'.SS "{escape(context.command_path)} {escape(usage)}"'
    yield from paragraphs(command.help or "")
    yield from _parameters(command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from commands(below, click.Context(below, info_name=name, parent=context))


def markdown(text: str) -> Iterator[str]:
    """Yield roff for the little Markdown our generated reference pages use: headings, tables, lists, code, paragraphs."""
    fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
            yield ".nf" if fenced else ".fi"
        elif fenced:
            yield escape(line) or "\\&"
        elif match := re.match(r"(#+)\s+(.*)", line):
            if len(match[1]) > 1:
                yield f'.{"SH" if len(match[1]) == 2 else "SS"} "{escape(match[2].replace("`", ""))}"'
        elif re.fullmatch(r"\|[\s:|-]+\|", line):
            continue
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            yield ".TP"
            yield _inline(cells[0]) or "\\&"
            yield _inline(" \u2014 ".join(filter(None, cells[1:]))) or "\\&"
        elif match := re.match(r"[-*]\s+(.*)", line):
            yield ".IP \\(bu 2"
            yield _inline(match[1])
        elif line.strip():
            yield _inline(line)
        else:
            yield ".PP"
