"""Keywords about the flow and what is remembered between packets, and how often a rule may speak."""

# ruff: noqa: ARG001 - every keyword is called with the same arguments

import re

from collectors.traffic.rules.language.draft import Draft
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.keyword import OPTIONAL, Keyword
from collectors.traffic.rules.language.numbers import U32, U64, integer, number
from collectors.traffic.rules.language.rule import (
    AppProtocol,
    FieldTest,
    Flow,
    FlowBits,
    FlowInt,
    Number,
    StreamSize,
    Tag,
    Threshold,
    WordTest,
    XBits,
)

_FLOW = {
    "established": ("state", "established"),
    "not_established": ("state", "not_established"),
    "stateless": ("state", "stateless"),
    "to_server": ("direction", "to_server"),
    "from_client": ("direction", "to_server"),
    "to_client": ("direction", "to_client"),
    "from_server": ("direction", "to_client"),
    "only_stream": ("stream", "only_stream"),
    "no_stream": ("stream", "no_stream"),
    "only_frag": ("fragment", "only_frag"),
    "no_frag": ("fragment", "no_frag"),
}

_THRESHOLD = re.compile(r"\s*(type|track|count|seconds|multiplier)\s+(\S+)\s*$")
_TRACKS = frozenset({"by_src", "by_dst", "by_rule", "by_both", "by_flow"})


def _flow(draft: Draft, argument: str, negated: bool) -> None:
    draft.once("flow")
    flow = Flow()
    for word in (part.strip().lower() for part in argument.split(",")):
        if word not in _FLOW:
            raise Refused(f'flow: "{word}" is not known')
        field, value = _FLOW[word]
        if getattr(flow, field):
            raise Refused(f"flow: {word} stands with {getattr(flow, field)}")
        setattr(flow, field, value)
    draft.rule.flow = flow


def _flowbits(draft: Draft, argument: str, negated: bool) -> None:
    command, comma, names = argument.partition(",")
    command = command.strip()
    if command == "noalert":
        if comma:
            raise Refused("flowbits: noalert has no name")
        draft.rule.noalert = True
        return
    if command not in {"set", "unset", "toggle", "isset", "isnotset"}:
        raise Refused(f'flowbits: "{command}" is not known')
    listed = tuple(name.strip() for name in names.split("|")) if "|" in names else (names.strip(),)
    if not all(listed) or any(" " in name for name in listed):
        raise Refused(f'flowbits: "{names.strip()}" is not a name')
    if len(listed) > 1 and command not in {"isset", "isnotset"}:
        raise Refused(f"flowbits: {command} is for one name")
    for other in draft.rule.state:
        if type(other) is FlowBits and {other.cmd, command} == {"isset", "isnotset"} and other.names == listed:
            raise Refused(f"flowbits: isset and isnotset of {names.strip()} exclude each other")
    draft.rule.state.append(FlowBits(command, listed))


def _flowint(draft: Draft, argument: str, negated: bool) -> None:
    parts = [part.strip() for part in argument.split(",")]
    if len(parts) == 2 and parts[1] in {"isset", "notset", "isnotset"}:
        draft.rule.state.append(FlowInt(parts[0], "isset" if parts[1] == "isset" else "isnotset"))
        return
    if len(parts) != 3 or parts[1] not in {"=", "+", "-", "<", "<=", "==", "!=", ">=", ">"} or not parts[0]:
        raise Refused(f'flowint: "{argument}" is not name, operator, value')
    value: int | str = parts[2]
    if parts[2][:1].isdigit() or parts[2][:1] == "-":
        value = integer(parts[2])
    draft.rule.state.append(FlowInt(parts[0], parts[1], value))


def _xbits(draft: Draft, argument: str, negated: bool) -> None:
    parts = [" ".join(part.split()) for part in argument.split(",")]
    if parts == ["noalert"]:
        draft.rule.noalert = True
        return
    given = dict(part.partition(" ")[::2] for part in parts[2:])
    if len(parts) < 3 or set(given) - {"track", "expire"} or "track" not in given:
        raise Refused(f'xbits: "{argument}" is not command, name, track …')
    command, name, track = parts[0], parts[1], given["track"]
    if command not in {"set", "unset", "toggle", "isset", "isnotset"} or track not in {
        "ip_src",
        "ip_dst",
        "ip_pair",
        "tx",
    }:
        raise Refused(f'xbits: "{argument}" has an unknown command or track')
    if track == "tx" and command in {"unset", "toggle"}:
        raise Refused(f"xbits: {command} is not for a transaction")
    if not name or " " in name:
        raise Refused(f'xbits: "{name}" is not a name')
    draft.rule.state.append(XBits(command, name, track, integer(given["expire"], 1) if "expire" in given else 30))


def _hostbits(draft: Draft, argument: str, negated: bool) -> None:
    parts = [part.strip() for part in argument.split(",")]
    if parts == ["noalert"]:
        draft.rule.noalert = True
        return
    if not 2 <= len(parts) <= 4 or parts[0] not in {"set", "unset", "toggle", "isset", "isnotset"} or not parts[1]:
        raise Refused(f'hostbits: "{argument}" is not command, name, side')
    tracks = {"src": "ip_src", "dst": "ip_dst", "both": "ip_both"}
    side = parts[2] if len(parts) > 2 else "src"
    if side not in tracks:
        raise Refused(f'hostbits: "{side}" is not src, dst or both')
    if side == "both" and parts[0] in {"isset", "isnotset"}:
        raise Refused("hostbits: both is not for isset and isnotset")
    expire = integer(parts[3], 1) if len(parts) > 3 else 300
    draft.rule.state.append(XBits(parts[0], parts[1], tracks[side], expire))


def _given(keyword: str, argument: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in argument.split(","):
        if part.split()[:1] == ["unique_on"]:
            raise Refused(
                f"{keyword}: unique_on came after Suricata 8; scans are found by the detectors (traffic.ports_scanned)"
            )
        found = _THRESHOLD.match(part)
        if not found or found[1] in given:
            raise Refused(f'{keyword}: "{part.strip()}" is not known or there twice')
        given[found[1]] = found[2]
    return given


def limit(keyword: str, given: dict[str, str], kinds: frozenset[str]) -> Threshold:
    """Return a threshold from its words; `kinds` are the types that may stand here."""
    kind, track = given.get("type", ""), given.get("track", "")
    if kind not in kinds:
        raise Refused(f'{keyword}: type "{kind}" is not one of {", ".join(sorted(kinds))}')
    if track not in _TRACKS:
        raise Refused(f'{keyword}: track "{track}" is not one of {", ".join(sorted(_TRACKS))}')
    if kind == "backoff":
        if set(given) - {"type", "track", "count", "multiplier"} or track != "by_flow":
            raise Refused(f"{keyword}: backoff has track by_flow, count and multiplier")
        return Threshold(kind, track, integer(given.get("count", ""), 1), 0, integer(given.get("multiplier", ""), 1))
    if "count" not in given or "seconds" not in given or "multiplier" in given:
        raise Refused(f"{keyword}: count and seconds are needed, and nothing else")
    return Threshold(kind, track, integer(given["count"], 1), integer(given["seconds"], 1))


def _threshold(draft: Draft, argument: str, negated: bool) -> None:
    if draft.rule.threshold or draft.rule.detection_filter:
        raise Refused("threshold: there is a threshold or detection_filter already")
    kinds = frozenset({"limit", "threshold", "both", "backoff"})
    draft.rule.threshold = limit("threshold", _given("threshold", argument), kinds)


def _detection_filter(draft: Draft, argument: str, negated: bool) -> None:
    if draft.rule.threshold or draft.rule.detection_filter:
        raise Refused("detection_filter: there is a threshold or detection_filter already")
    given = {"type": "detection_filter", **_given("detection_filter", argument)}
    draft.rule.detection_filter = limit("detection_filter", given, frozenset({"detection_filter"}))


def _stream_size(draft: Draft, argument: str, negated: bool) -> None:
    parts = [part.strip() for part in argument.split(",")]
    if len(parts) != 3 or parts[0] not in {"server", "client", "both", "either"}:
        raise Refused(f'stream_size: "{argument}" is not side, operator, number')
    if parts[1] not in {"=", "!=", "<", "<=", ">", ">="}:
        raise Refused(f'stream_size: "{parts[1]}" is not an operator')
    draft.rule.tests.append(StreamSize(parts[0], Number(parts[1], integer(parts[2]))))


def _tag(draft: Draft, argument: str, negated: bool) -> None:
    parts = [part.strip() for part in argument.split(",")]
    if parts[0] not in {"session", "host"} or len(parts) not in {1, 3, 4}:
        raise Refused(f'tag: "{argument}" is not scope, count, metric, side')
    if parts[0] == "host" and (len(parts) != 4 or parts[3] not in {"src", "dst"}):
        raise Refused("tag: a host needs src or dst")
    if len(parts) == 1:
        draft.rule.tag = Tag(parts[0], 0, "")
        return
    if parts[2] not in {"packets", "seconds", "bytes"}:
        raise Refused(f'tag: "{parts[2]}" is not packets, seconds or bytes')
    draft.rule.tag = Tag(parts[0], integer(parts[1]), parts[2], parts[3] if len(parts) == 4 else "")


def _flow_count(name: str, highest: int, side: str = "") -> Keyword:
    def apply(draft: Draft, argument: str, negated: bool) -> None:
        which, amount = side, argument
        if not side and name != "flow.age":
            which, _, amount = (part.strip() for part in argument.partition(","))
            if which not in {"toclient", "toserver", "either", "both"}:
                raise Refused(f'{name}: "{which}" is not toclient, toserver, either or both')
        draft.rule.tests.append(FieldTest(name, number(amount, highest), which))

    return Keyword(apply)


def _elephant(draft: Draft, argument: str, negated: bool) -> None:
    if argument not in {"toclient", "toserver", "either", "both"}:
        raise Refused(f'flow.elephant: "{argument}" is not toclient, toserver, either or both')
    draft.rule.tests.append(WordTest("flow.elephant", (argument,)))


def _variable(name: str) -> Keyword:
    def apply(draft: Draft, argument: str, negated: bool) -> None:
        variable, comma, value = argument.partition(",")
        if not comma:
            raise Refused(f'{name}: "{argument}" is not name, value')
        draft.rule.tests.append(WordTest(name, (variable.strip(), value.strip().strip('"')), negated))

    return Keyword(apply, quotes=OPTIONAL)


def _app_protocol(draft: Draft, argument: str, negated: bool) -> None:
    word, _, side = (part.strip() for part in argument.partition(","))
    if side not in {"", "either", "both", "to_server", "to_client", "toserver", "toclient", "final", "original"}:
        raise Refused(f'app-layer-protocol: "{side}" is not a side')
    side = {"toserver": "to_server", "toclient": "to_client"}.get(side, side)
    test = AppProtocol(word.removeprefix("!").strip().lower(), word.startswith("!") or negated, side)
    for other in draft.rule.tests:
        if type(other) is AppProtocol and other.side == test.side and (not other.negated or not test.negated):
            raise Refused("app-layer-protocol: is there twice, and not both negated")
    draft.rule.tests.append(test)


KEYWORDS: dict[str, Keyword] = {
    "flow": Keyword(_flow),
    "flowbits": Keyword(_flowbits),
    "flowint": Keyword(_flowint),
    "xbits": Keyword(_xbits),
    "hostbits": Keyword(_hostbits),
    "threshold": Keyword(_threshold),
    "detection_filter": Keyword(_detection_filter),
    "stream_size": Keyword(_stream_size),
    "tag": Keyword(_tag),
    "flow.age": _flow_count("flow.age", U32),
    "flow.pkts": _flow_count("flow.pkts", U32),
    "flow.bytes": _flow_count("flow.bytes", U64),
    "flow.pkts_toclient": _flow_count("flow.pkts", U32, "toclient"),
    "flow.pkts_toserver": _flow_count("flow.pkts", U32, "toserver"),
    "flow.bytes_toclient": _flow_count("flow.bytes", U64, "toclient"),
    "flow.bytes_toserver": _flow_count("flow.bytes", U64, "toserver"),
    "flow.elephant": Keyword(_elephant),
    "flowvar": _variable("flowvar"),
    "pktvar": _variable("pktvar"),
    "app-layer-protocol": Keyword(_app_protocol),
}
