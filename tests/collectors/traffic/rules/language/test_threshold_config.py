"""threshold.config, line by line, and what it makes of the rules."""

from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.language.ranges import contains
from collectors.traffic.rules.language.rule import Rule, Threshold
from collectors.traffic.rules.language.threshold_config import RateFilter, read
from collectors.traffic.rules.language.variables import Variables

VARIABLES = Variables().addresses


def rule(sid: int, options: str = "") -> Rule:
    return Parser().rule(f"alert tcp any any -> any any ({options} sid:{sid};)")


def test_every_kind_of_line() -> None:
    config = read(
        b"# a comment\n"
        b"suppress gen_id 1, sig_id 5\n"
        b"suppress gen_id 1, sig_id 6, track by_src, ip [10.0.0.0/8,!10.1.0.0/16]\n"
        b"suppress gen_id 1, sig_id 6, track by_either, ip $HOME_NET\n"
        b"threshold gen_id 1, sig_id 7, type limit, \\\n  track by_src, count 1, seconds 60\n"
        b"event_filter gen_id 0, sig_id 0, type both, track by_dst, count 2, seconds 3\n"
        b"rate_filter gen_id 1, sig_id 8, track by_rule, count 100, seconds 60, new_action drop, timeout 30\n",
        VARIABLES,
    )
    assert config.refused == []
    assert [(one.sid, one.track) for one in config.suppressions] == [(5, ""), (6, "by_src"), (6, "by_either")]
    part = config.suppressions[1].addresses
    assert part is not None and contains(part.v4, 0x0A000001) and not contains(part.v4, 0x0A010001)
    assert config.thresholds == [(1, 7, Threshold("limit", "by_src", 1, 60)), (0, 0, Threshold("both", "by_dst", 2, 3))]
    assert config.rate_filters == [RateFilter(1, 8, Threshold("rate", "by_rule", 100, 60), "drop", 30)]


def test_lines_that_say_nothing_are_named() -> None:
    config = read(
        b"nonsense\n"
        b"suppress gen_id 1\n"
        b"suppress gen_id 1, sig_id 5, track by_src\n"
        b"suppress gen_id 0, sig_id 5\n"
        b"threshold gen_id 1, sig_id 7, type limit, track by_src, count 1\n"
        b"rate_filter gen_id 1, sig_id 8, track by_rule, count 1, seconds 6, new_action jump, timeout 3\n"
        b"suppress gen_id 1, sig_id 5, track by_src, ip 1.2.3.400\n",
        VARIABLES,
    )
    assert [line for line, _ in config.refused] == [1, 2, 3, 4, 5, 6, 7]
    assert config.suppressions == [] and config.thresholds == [] and config.rate_filters == []


def test_a_threshold_for_one_rule_replaces_its_own_and_one_for_all_does_not() -> None:
    own = "threshold:type limit, track by_src, count 9, seconds 9;"
    rules = [rule(7, own), rule(8, own), rule(9), rule(10, "detection_filter:track by_src, count 1, seconds 1;")]
    read(
        b"threshold gen_id 1, sig_id 7, type both, track by_dst, count 1, seconds 1\n"
        b"threshold gen_id 0, sig_id 0, type threshold, track by_dst, count 2, seconds 2\n",
        VARIABLES,
    ).apply(rules)
    assert [found.threshold.type if found.threshold else "" for found in rules] == ["both", "limit", "threshold", ""]
