"""suppress and rate_filter of a threshold.config."""

from collectors.traffic.rules.engine.verdicts import Alert
from collectors.traffic.rules.language.threshold_config import read
from collectors.traffic.rules.language.variables import ADDRESS_GROUPS
from collectors.traffic.rules.site import Site, edges
from tests.collectors.traffic.rules.engine import scene

RULE = 'alert udp any any -> any any (content:"needle"; sid:5;)'


def site(*lines: str) -> Site:
    config = read("\n".join(lines).encode(), ADDRESS_GROUPS)
    assert not config.refused
    return Site(config)


def alerts(count: int, apart_ns: int = 1_000_000_000) -> list[Alert]:
    packets = [(scene.START + number * apart_ns, scene.udp(b"a needle")) for number in range(count)]
    found = scene.alerts(packets, RULE)
    assert len(found) == count
    return found


def test_what_is_not_wanted_is_left_out_and_counted() -> None:
    found = alerts(3)
    source = found[0].packet.source
    text = ".".join(str(source >> shift & 255) for shift in (24, 16, 8, 0))
    for lines, left in (
        (("suppress gen_id 1, sig_id 5",), 0),
        (("suppress gen_id 1, sig_id 6",), 3),
        (("suppress gen_id 0, sig_id 0",), 0),
        ((f"suppress gen_id 1, sig_id 5, track by_src, ip {text}",), 0),
        ((f"suppress gen_id 1, sig_id 5, track by_dst, ip {text}",), 3),
        ((f"suppress gen_id 1, sig_id 5, track by_either, ip [{text}/31,203.0.113.1]",), 0),
    ):
        one = site(*lines)
        assert len(one.apply(found)) == left and one.suppressed == 3 - left, lines


def test_a_rule_that_matches_too_often_does_something_else_for_a_while() -> None:
    found = alerts(9)
    one = site("rate_filter gen_id 1, sig_id 5, track by_src, count 3, seconds 60, new_action drop, timeout 4")
    assert [alert.rule.action for alert in one.apply(found)] == ["alert"] * 3 + ["drop"] * 6
    assert found[4].rule.action == "alert", "the rule itself stays as it is"
    slow = site("rate_filter gen_id 1, sig_id 5, track by_src, count 3, seconds 2, new_action drop, timeout 4")
    assert {alert.rule.action for alert in slow.apply(alerts(9, 3_000_000_000))} == {"alert"}
    passing = site("rate_filter gen_id 1, sig_id 5, track by_rule, count 2, seconds 60, new_action pass, timeout 0")
    assert len(passing.apply(found)) == 2 and passing.suppressed == 7
    assert site("").idle and not passing.idle


def test_ranges_that_touch_are_one() -> None:
    assert edges(((1, 3), (4, 6), (9, 9))) == [1, 7, 9, 10]
