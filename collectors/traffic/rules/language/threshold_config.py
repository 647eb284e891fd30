"""threshold.config: what a site says about how often rules may speak, beside the rules: suppress, threshold, event_filter, rate_filter."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.flow_keywords import limit
from collectors.traffic.rules.language.groups import addresses
from collectors.traffic.rules.language.lines import rules as joined_lines
from collectors.traffic.rules.language.numbers import integer
from collectors.traffic.rules.language.rule import Addresses, Rule, Threshold

KINDS = frozenset({"limit", "threshold", "both", "backoff"})
TRACKS = frozenset({"by_src", "by_dst", "by_either"})
NEW_ACTIONS = frozenset({"alert", "drop", "pass", "reject"})


@dataclass(frozen=True, slots=True)
class Suppression:
    """Alerts that are not wanted: of a rule, and if `track` is set, of addresses on that side. 0 stands for all ids."""

    gid: int
    sid: int
    track: str = ""
    addresses: Addresses | None = None


@dataclass(frozen=True, slots=True)
class RateFilter:
    """After `threshold` many matches the rule does `new_action` for `timeout_s` seconds."""

    gid: int
    sid: int
    threshold: Threshold
    new_action: str
    timeout_s: int


@dataclass(slots=True)
class ThresholdConfig:
    """What a file says; `refused` has (line, reason) for each line that says nothing."""

    suppressions: list[Suppression] = field(default_factory=list)
    thresholds: list[tuple[int, int, Threshold]] = field(default_factory=list)
    rate_filters: list[RateFilter] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)

    def apply(self, ruleset: Iterable[Rule]) -> None:
        """Give rules the thresholds that the file has for them.

        What names a sid replaces the rule's own threshold; what is for all rules (of a gid) is for those that have none. Rules with a
        detection_filter keep it.
        """
        own = {(gid, sid): found for gid, sid, found in self.thresholds if sid}
        for_all = {gid: found for gid, sid, found in self.thresholds if not sid}
        for rule in ruleset:
            if rule.detection_filter is not None:
                continue
            found = own.get((rule.gid, rule.sid))
            if found is not None:
                rule.threshold = found
            elif rule.threshold is None:
                rule.threshold = for_all.get(rule.gid) or for_all.get(0)


def read(data: bytes, variables: Mapping[str, str]) -> ThresholdConfig:
    """Return what the content of a threshold.config says; `variables` are the address groups that it may name."""
    config = ThresholdConfig()
    for line, text in joined_lines(data):
        try:
            _line(config, text, variables)
        except Refused as refused:
            config.refused.append((line, str(refused)))
    return config


def _line(config: ThresholdConfig, text: str, variables: Mapping[str, str]) -> None:
    kind, _, rest = text.partition(" ")
    given = _words(rest)
    gid, sid = integer(given.pop("gen_id", "")), integer(given.pop("sig_id", ""))
    if gid == 0 and sid:
        raise Refused("gen_id 0 stands for all rules, and so does a sig_id of 0 with it")
    if kind == "suppress":
        config.suppressions.append(_suppression(gid, sid, given, variables))
    elif kind in {"threshold", "event_filter"}:
        config.thresholds.append((gid, sid, limit(kind, given, KINDS)))
    elif kind == "rate_filter":
        action, timeout = given.pop("new_action", ""), integer(given.pop("timeout", ""))
        if action not in NEW_ACTIONS:
            raise Refused(f'rate_filter: new_action "{action}" is not one of {", ".join(sorted(NEW_ACTIONS))}')
        found = limit(kind, {"type": "rate", **given}, frozenset({"rate"}))
        config.rate_filters.append(RateFilter(gid, sid, found, action, timeout))
    else:
        raise Refused(f'"{kind}" is not suppress, threshold, event_filter or rate_filter')


def _words(rest: str) -> dict[str, str]:
    """Return the words and their values; the commas of a list of addresses do not divide."""
    given: dict[str, str] = {}
    level, begin = 0, 0
    for at, char in enumerate(rest + ","):
        level += (char == "[") - (char == "]")
        if char == "," and level <= 0:
            word, _, value = rest[begin:at].strip().partition(" ")
            if word in given or not value.strip():
                raise Refused(f'"{rest[begin:at].strip()}" has no value or is there twice')
            given[word] = value.strip()
            begin = at + 1
    return given


def _suppression(gid: int, sid: int, given: dict[str, str], variables: Mapping[str, str]) -> Suppression:
    if not given:
        return Suppression(gid, sid)
    if set(given) != {"track", "ip"} or given["track"] not in TRACKS:
        raise Refused("suppress: track (by_src, by_dst, by_either) and ip stand together, and nothing else")
    return Suppression(gid, sid, given["track"], addresses(given["ip"], variables))
