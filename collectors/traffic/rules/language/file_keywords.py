"""Keywords about files that protocols carry: names, kinds, sizes and hashes; and sets that buffers are looked up in."""

# ruff: noqa: ARG001 - every keyword is called with the same arguments

from collectors.traffic.rules.language.buffers import BUFFERS
from collectors.traffic.rules.language.content_keywords import pattern
from collectors.traffic.rules.language.draft import Draft
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.keyword import OPTIONAL, Keyword
from collectors.traffic.rules.language.numbers import U16, U64, integer, number, size
from collectors.traffic.rules.language.rule import BufferTest, Content, Datarep, Dataset, FieldTest

TYPES = frozenset({"string", "md5", "sha256", "ipv4", "ip"})


def _named(buffer: str, before: bytes = b"", ends: bool = False) -> Keyword:
    """Return a keyword that is short for one content of a buffer of files; it ends a sticky buffer before it, as in Suricata."""

    def apply(draft: Draft, argument: str, negated: bool) -> None:
        draft.unstick()
        test = BufferTest(buffer, BUFFERS[buffer].direction)
        test.matches.append(Content(before + pattern(argument), negated, nocase=buffer == "file.name", endswith=ends))
        draft.rule.buffers.append(test)

    return Keyword(apply, quotes=OPTIONAL, negation=True)


def _filesize(draft: Draft, argument: str, negated: bool) -> None:
    side, comma, amount = (part.strip() for part in argument.partition(","))
    if comma and side not in {"to_server", "to_client"}:
        raise Refused(f'filesize: "{side}" is neither to_server nor to_client')
    draft.rule.tests.append(FieldTest("filesize", number(amount if comma else side, U64), side if comma else ""))


def _hashes(algorithm: str) -> Keyword:
    """Return a keyword that looks the digest of a whole file up in a list: a set of its own, which is its file."""

    def apply(draft: Draft, argument: str, negated: bool) -> None:
        kind, name = f"file{algorithm}", argument.strip()
        if not name:
            raise Refused(f"{kind}: no list is named")
        match = Dataset("isnotset" if negated else "isset", f"{kind}:{name}", kind, name)
        draft.rule.buffers.append(BufferTest(f"file.{algorithm}", matches=[match]))

    return Keyword(apply, quotes=OPTIONAL, negation=True)


def _settings(keyword: str, argument: str, fixed: int) -> tuple[list[str], dict[str, str]]:
    parts = [part.strip() for part in argument.split(",")]
    given: dict[str, str] = {}
    for part in parts[fixed:]:
        word, _, value = part.partition(" ")
        if word in given:
            raise Refused(f"{keyword}: {word} is there twice")
        given[word] = value.strip()
    if len(parts) < fixed:
        raise Refused(f'{keyword}: "{argument}" has fewer than {fixed} parts')
    return parts[:fixed], given


def _dataset(draft: Draft, argument: str, negated: bool) -> None:
    (command, name), given = _settings("dataset", argument, 2)
    if command not in {"isset", "isnotset", "set", "unset"}:
        raise Refused(f'dataset: "{command}" is not isset, isnotset, set or unset')
    if not draft.sticky:
        raise Refused("dataset has no sticky buffer before it")
    unknown = set(given) - {"type", "load", "state", "save", "memcap", "hashsize"}
    if unknown:
        raise Refused(f"dataset: {', '.join(sorted(unknown))} is not known here")
    if given.get("type", "") not in TYPES | {""}:
        raise Refused(f'dataset: "{given["type"]}" is not a type')
    if "state" in given and ({"load", "save"} & set(given)):
        raise Refused("dataset: state stands for both load and save")
    draft.add(
        Dataset(
            command,
            name,
            given.get("type", ""),
            given.get("load", ""),
            given.get("save", given.get("state", "")),
            size(given.get("memcap", "0")),
            size(given.get("hashsize", "0")),
            save_only="save" in given,
        )
    )


def _datarep(draft: Draft, argument: str, negated: bool) -> None:
    (name, op, value), given = _settings("datarep", argument, 3)
    if op not in {"<", ">", "=="} or not draft.sticky:
        raise Refused(f'datarep: "{argument}" is not name, operator, value behind a sticky buffer')
    if set(given) - {"type", "load", "memcap", "hashsize"} or given.get("type", "") not in TYPES | {""}:
        raise Refused(f'datarep: "{argument}" has words that are not known')
    number_ = integer(value, 0, U16)
    memcap, hashsize = size(given.get("memcap", "0")), size(given.get("hashsize", "0"))
    draft.add(Datarep(name, op, number_, given.get("type", ""), given.get("load", ""), memcap, hashsize))


KEYWORDS: dict[str, Keyword] = {
    "filename": _named("file.name"),
    "fileext": _named("file.name", b".", True),
    "filemagic": _named("file.magic"),
    "filesize": Keyword(_filesize),
    "filemd5": _hashes("md5"),
    "filesha1": _hashes("sha1"),
    "filesha256": _hashes("sha256"),
    "dataset": Keyword(_dataset),
    "datarep": Keyword(_datarep),
}
