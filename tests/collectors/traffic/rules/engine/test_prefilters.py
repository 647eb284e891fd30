"""Prefilters lose no rule: what is evaluated behind them is what a plain search says."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.traffic.rules.engine.engine import Engine
from tests.collectors.traffic.rules.engine import scene

WORD = st.text("abAB", min_size=1, max_size=4)
TEXT = st.text("abAB", min_size=1, max_size=12)
SLOW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


def _finds(word: str, nocase: bool, text: str) -> bool:
    return word.lower() in text.lower() if nocase else word in text


@SLOW
@given(st.lists(st.tuples(WORD, st.booleans()), min_size=1, max_size=8), st.lists(TEXT, min_size=1, max_size=6))
def test_datagrams(words: list[tuple[str, bool]], texts: list[str]) -> None:
    packets = [scene.udp(text.encode(), sport=40_000 + number) for number, text in enumerate(texts)]
    lines = [
        f'alert udp any any -> any any (content:"{word}";{" nocase;" if nocase else ""})' for word, nocase in words
    ]
    found = {(one.rule.sid, one.packet.number) for one in scene.alerts(packets, *lines)}
    assert found == {
        (sid, number)
        for sid, (word, nocase) in enumerate(words, start=1)
        for number, text in enumerate(texts, start=1)
        if _finds(word, nocase, text)
    }


@SLOW
@given(st.lists(st.tuples(WORD, st.booleans()), min_size=1, max_size=8), st.lists(TEXT, min_size=1, max_size=3))
def test_buffers_of_transactions(words: list[tuple[str, bool]], texts: list[str]) -> None:
    talk = scene.Talk()
    for text in texts:
        talk.ask(scene.request(f"/{text}")).answer(scene.response(text.encode()))
    lines = [
        f'alert http any any -> any any ({buffer}; content:"{word}";{" nocase;" if nocase else ""})'
        for word, nocase in words
        for buffer in ("http.uri", "file.data")
    ]
    found = {
        (one.rule.sid, one.transaction.number)
        for one in scene.alerts(talk.close().packets, *lines)
        if one.transaction is not None
    }
    assert found == {
        (2 * place + side + 1, number)
        for place, (word, nocase) in enumerate(words)
        for side in (0, 1)
        for number, text in enumerate(texts)
        if _finds(word, nocase, text)
    }


def test_a_word_across_two_segments_is_found_in_the_stream() -> None:
    talk = scene.Talk(dport=9999).ask(b"before need").ask(b"le after").close()
    rule = 'alert {} any any -> any any (content:"needle";)'
    assert scene.counts(talk.packets, rule.format("tcp"), rule.format("tcp-pkt"), rule.format("tcp-stream")) == {
        1: 1,
        3: 1,
    }


def test_what_a_transform_made_is_searched_as_it_was_made() -> None:
    talk = scene.Talk().ask(scene.request("/a%20b/AbC")).answer(scene.response(b"x")).close()
    lines = [
        f'alert http any any -> any any (http.uri; to_lowercase; content:"{word}";)' for word in ("abc", "AbC")
    ] + ['alert http any any -> any any (http.uri.raw; to_lowercase; content:"%20";)']
    assert scene.counts(talk.packets, *lines) == {1: 1, 3: 1}


def test_a_rule_without_a_pattern_is_looked_at_all_the_same() -> None:
    packets = [scene.udp(b"aaa"), scene.udp(b"b")]
    assert scene.counts(packets, 'alert udp any any -> any any (pcre:"/^a+$/";)') == {1: 1}
    assert scene.counts(packets, 'alert udp any any -> any any (content:!"a"; dsize:>0;)') == {1: 1}


def test_a_rule_for_one_direction_is_looked_for_there_alone() -> None:
    packets = [scene.udp(b"needle"), scene.udp_back(b"needle")]
    for flow, found in (("", 2), ("flow:to_server; ", 1), ("flow:to_client; ", 1)):
        fed = scene.fed(packets)
        engine = Engine(scene.rules(f'alert udp any any -> any any ({flow}content:"needle";)'), fed[5])
        assert len(engine.feed(*fed)) == found == engine.found["packet"]


def test_what_no_header_fits_is_not_looked_through() -> None:
    talks = [scene.Talk(sport=40_000, dport=dport).ask(b"a needle").answer(b"a needle").close() for dport in (80, 9999)]
    packets = [*talks[0].packets, *talks[1].packets, scene.udp(b"needle", dport=53), scene.udp(b"needle", dport=54)]
    headers = [
        "tcp any any -> any 9999",
        "tcp any 9999 -> any any",
        "tcp-pkt any any -> any 9999",
        "udp any any -> any 53",
    ]
    lines = [f'alert {header} (content:"needle";)' for header in headers]
    assert scene.counts(packets, *lines) == {1: 1, 2: 1, 3: 1, 4: 1}
    fed = scene.fed(packets)
    engine = Engine(scene.rules(*lines), fed[5])
    engine.feed(*fed)
    assert engine.found["packet"] == 2
    assert scene.counts(packets, *lines, 'alert ip any any -> any any (content:"needle";)')[5] == 6
