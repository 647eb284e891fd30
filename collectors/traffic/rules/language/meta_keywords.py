"""Keywords that say who a rule is: msg, sid, rev, classtype, reference, metadata and the like."""

# ruff: noqa: ARG001 - every keyword is called with the same arguments

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from collectors.traffic.rules.language.draft import Draft
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.keyword import NEEDED, NONE, OPTIONAL, Keyword, without_effect
from collectors.traffic.rules.language.numbers import integer
from collectors.traffic.rules.language.rule import Content

VERSION = (8, 0, 7)
"""The Suricata whose rules are spoken here: what `requires: version` is compared with."""

FEATURES = frozenset({"true", "output::file-store"})

_ESCAPED = re.compile(r'\\([;:\\"])')
_VERSION = re.compile(r"version\s*(<=|>=|<|>)\s*(\d+)(?:\.(\d+))?(?:\.(\d+))?$")


def text(argument: str) -> str:
    """Return an argument as text: rules are UTF-8, read byte by byte."""
    return argument if argument.isascii() else argument.encode("latin-1").decode("utf-8", "replace")


def _msg(draft: Draft, argument: str, negated: bool) -> None:
    draft.once("msg")
    draft.rule.msg = text(_ESCAPED.sub(r"\1", argument) if "\\" in argument else argument)


def _sid(draft: Draft, argument: str, negated: bool) -> None:
    draft.once("sid")
    draft.rule.sid = integer(argument, 1)


def _gid(draft: Draft, argument: str, negated: bool) -> None:
    draft.once("gid")
    draft.rule.gid = integer(argument)


def _rev(draft: Draft, argument: str, negated: bool) -> None:
    draft.once("rev")
    draft.rule.rev = integer(argument)


def _priority(draft: Draft, argument: str, negated: bool) -> None:
    draft.rule.priority = integer(argument, 1, 255)
    draft.rule.own_priority = True


def _classtype(draft: Draft, argument: str, negated: bool) -> None:
    draft.rule.classtype = argument


def _reference(draft: Draft, argument: str, negated: bool) -> None:
    kind, comma, value = argument.partition(",")
    if not comma or not value.strip():
        raise Refused(f'reference: "{text(argument)}" has no comma between its kind and its value')
    draft.rule.references = (*draft.rule.references, (kind.strip().lower(), text(value.strip())))


def _metadata(draft: Draft, argument: str, negated: bool) -> None:
    draft.rule.metadata = (*draft.rule.metadata, *[_pair(item.strip()) for item in text(argument).split(",")])


@lru_cache(65_536)
def _pair(item: str) -> tuple[str, str]:
    """Return key and value; rulesets say the same thousands of times, and keep it once."""
    key, _, value = item.partition(" ")
    return key, value.strip()


def _target(draft: Draft, argument: str, negated: bool) -> None:
    if argument not in {"src_ip", "dest_ip"}:
        raise Refused(f'target: "{argument}" is neither src_ip nor dest_ip')
    if draft.rule.target not in {"", argument}:
        raise Refused("target: is there twice, and not the same")
    draft.rule.target = argument


def _noalert(draft: Draft, argument: str, negated: bool) -> None:
    draft.rule.noalert = True


def _alert(draft: Draft, argument: str, negated: bool) -> None:
    if draft.rule.action == "pass":
        draft.rule.noalert = False


def _requires(draft: Draft, argument: str, negated: bool) -> None:
    for item in (part.strip() for part in argument.split(",")):
        kind, _, value = item.partition(" ")
        if kind == "version":
            _check_version(item)
        elif kind == "feature":
            if value.strip() not in FEATURES:
                raise Refused(f'requires: the feature "{value.strip()}" is not there')
        elif kind == "keyword":
            draft.wanted.add(value.strip())
        else:
            raise Refused(f'requires: "{item}" is neither version, feature nor keyword')


def _check_version(item: str) -> None:
    holds: dict[str, Callable[[tuple[int, ...]], bool]] = {
        "<": VERSION.__lt__,
        "<=": VERSION.__le__,
        ">": VERSION.__gt__,
        ">=": VERSION.__ge__,
    }
    for group in item.removeprefix("version").split("|"):
        if all(
            _one_version(f"version {part.strip()}", holds) for part in re.split(r"(?<=[\d.])\s+(?=[<>])", group.strip())
        ):
            return
    raise Refused(f"requires: {item} does not hold for Suricata {'.'.join(map(str, VERSION))}, whose language this is")


def _one_version(item: str, holds: Mapping[str, Callable[[tuple[int, ...]], bool]]) -> bool:
    found = _VERSION.match(item)
    if not found:
        raise Refused(f'requires: "{item}" is not a version to compare with')
    wanted = tuple(int(part or 0) for part in found.groups()[1:])
    return holds[found[1]](wanted)


def _bypass(draft: Draft, argument: str, negated: bool) -> None:
    draft.rule.bypass = True


def _prefilter(draft: Draft, argument: str, negated: bool) -> None:
    if draft.order:
        match, _ = draft.order[-1]
        if type(match) is Content:
            if match.negated:
                raise Refused("prefilter: a negated content cannot be the first thing looked for")
            match.fast_pattern = True
            return
    draft.rule.prefilter = "asked"


def _filestore(draft: Draft, argument: str, negated: bool) -> None:
    words = tuple(part.strip() for part in argument.split(",")) if argument else ()
    if words and (words[0] not in {"request", "response", "to_server", "to_client", "both"} or len(words) > 2):
        raise Refused(f'filestore: "{argument}" is not a direction and a scope')
    if len(words) == 2 and words[1] not in {"file", "tx", "flow", "ssn"}:
        raise Refused(f'filestore: "{words[1]}" is not a scope')
    draft.rule.filestore = words


def _config(draft: Draft, argument: str, negated: bool) -> None:
    if draft.rule.action != "config":
        raise Refused("config is for rules whose action is config")
    pairs = []
    for item in argument.split(","):
        key, _, value = item.strip().partition(" ")
        pairs.append((key, value.strip()))
    if pairs[0][0] not in {"logging", "tracking"}:
        raise Refused(f'config: "{argument}" is not known')
    draft.rule.config = tuple(pairs)


def _mark(draft: Draft, argument: str, negated: bool) -> None:
    raise Refused("nfq_set_mark marks packets that pass through Suricata; nothing passes through this sensor")


KEYWORDS: dict[str, Keyword] = {
    "msg": Keyword(_msg, quotes=NEEDED),
    "sid": Keyword(_sid),
    "gid": Keyword(_gid),
    "rev": Keyword(_rev),
    "priority": Keyword(_priority),
    "classtype": Keyword(_classtype, quotes=OPTIONAL),
    "reference": Keyword(_reference),
    "metadata": Keyword(_metadata),
    "target": Keyword(_target),
    "noalert": Keyword(_noalert, NONE),
    "alert": Keyword(_alert, NONE),
    "requires": Keyword(_requires),
    "bypass": Keyword(_bypass, NONE),
    "prefilter": Keyword(_prefilter, NONE),
    "filestore": Keyword(_filestore, OPTIONAL),
    "config": Keyword(_config),
    "tls_store": Keyword(without_effect, NONE),
    "tls.store": Keyword(without_effect, NONE),
    "nfq_set_mark": Keyword(_mark),
}
