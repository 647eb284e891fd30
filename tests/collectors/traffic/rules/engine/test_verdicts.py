"""What rules do: alert, say nothing, let pass, drop."""

from tests.collectors.traffic.rules.engine import scene

HIT = [scene.udp(b"hit one"), scene.udp(b"hit two"), scene.udp(b"hit three", sport=41_000)]


def test_every_rule_that_matches_speaks() -> None:
    alert = 'alert udp any any -> any any (content:"hit";)'
    assert scene.counts(HIT, alert, alert, 'alert udp any any -> any any (content:"miss";)') == {1: 3, 2: 3}


def test_noalert_says_nothing() -> None:
    assert scene.counts(HIT, 'alert udp any any -> any any (content:"hit"; noalert;)') == {}


def test_pass_silences_the_other_rules_for_its_packet() -> None:
    found = scene.alerts(
        HIT,
        'alert udp any any -> any any (content:"hit";)',
        'pass udp any any -> any any (content:"two";)',
    )
    assert [one.packet.number for one in found] == [1, 3]


def test_pass_on_a_stream_silences_the_rest_of_its_flow() -> None:
    # Each message is long enough to be looked at by itself.
    again = b"hit again" + b"." * 1300
    talk, other = scene.Talk(dport=9999), scene.Talk(sport=41_000, dport=9999)
    for one, word in ((talk, b"friend"), (other, b"foe")):
        one.ask(b"hit " + word).ask(b"." * 1300).ask(b"." * 1300).ask(again).ask(b"." * 1300).close()
    alert = 'alert tcp any any -> any any (flow:established; content:"hit";)'
    passing = 'pass tcp any any -> any any (flow:established,only_stream; content:"friend";)'
    ports = {one.packet.sport for one in scene.alerts(talk.packets + other.packets, alert, passing)}
    assert ports == {41_000}
    assert {one.packet.sport for one in scene.alerts(talk.packets + other.packets, alert)} == {40_000, 41_000}


def test_drop_blocks_in_line_and_alerts_beside_it() -> None:
    drop = 'drop udp any any -> any any (content:"two";)'
    assert [(one.rule.sid, one.blocked) for one in scene.alerts(HIT, drop)] == [(1, False)]
    assert [(one.rule.sid, one.blocked) for one in scene.alerts(HIT, drop, inline=True)] == [(1, True)]


def test_an_alert_names_rule_packet_and_transaction() -> None:
    talk = scene.Talk().ask(scene.request("/a")).answer(scene.response(b"x")).ask(scene.request("/b")).close()
    (found,) = scene.alerts(talk.packets, 'alert http any any -> any any (http.uri; content:"/b";)')
    assert found.transaction is not None and found.conversation is not None
    assert (found.transaction.number, found.conversation.protocol, found.blocked) == (1, "http", False)


def test_a_rule_speaks_once_about_a_transaction() -> None:
    body = b"hit" + b"." * 4000
    talk = scene.Talk().ask(scene.request("/a")).answer(scene.response(body * 3)[:6000]).answer(body * 2).close()
    assert scene.counts(talk.packets, 'alert http any any -> any any (http.uri; content:"/a";)') == {1: 1}


def test_what_was_dropped_in_line_takes_the_rest_of_its_flow_along() -> None:
    talk = scene.Talk().ask(scene.request("/bad")).answer(scene.response(b"x")).ask(scene.request("/next")).close()
    rules = [
        'drop http any any -> any any (http.uri; content:"/bad";)',
        'alert http any any -> any any (http.uri; content:"/next";)',
    ]
    assert scene.counts(talk.packets, *rules) == {1: 1, 2: 1}
    assert scene.counts(talk.packets, *rules, inline=True) == {1: 1}


def test_a_packet_keeps_fifteen_alerts_the_most_urgent_first_and_counts_the_rest() -> None:
    asked = b"".join(scene.request(f"/{number}") for number in range(12))
    talk = scene.Talk().ask(asked).close()
    rules = [
        'alert http any any -> any any (http.uri; content:"/"; priority:3;)',
        'alert http any any -> any any (http.uri; content:"/"; priority:1;)',
    ]
    found = scene.alerts(talk.packets, *rules)
    assert [one.rule.sid for one in found] == [2] * 12 + [1] * 3
    assert [one.transaction.number for one in found if one.transaction is not None][-3:] == [11, 10, 9]


def test_a_pass_rule_may_say_that_it_passed_something() -> None:
    passing, alert = (
        'pass udp any any -> any any (content:"two"; {})',
        'alert udp any any -> any any (content:"two";)',
    )
    packets = [scene.udp(b"two")]
    assert scene.counts(packets, passing.format("alert;"), alert) == {1: 1}
    assert scene.counts(packets, passing.format("noalert;"), alert) == {}
