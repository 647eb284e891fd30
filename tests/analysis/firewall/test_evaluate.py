"""The answer in words: what decided, the steps on the way, what is not known; and all of it quickly."""

import time

from analysis.firewall.evaluate import Answers, evaluate
from analysis.firewall.journey import Journey
from analysis.firewall.probe import UNTRACED, Cause, Verdict
from analysis.firewall.reading import Reader
from tests.analysis.firewall.datapaths import ACCEPT, DROP, HOST, ask, base, datapath, field, match, probe, table

WEB = match("tcp dport", 80)


def test_the_rule_that_decided_is_named_with_its_place() -> None:
    made = datapath(table("t", {"c": (base("input", 0, "drop"), [[match("udp dport", 80), DROP], [WEB, ACCEPT]])}))
    (cause,) = ask(made, probe()).causes
    assert cause == Cause(what="rule", text="rule 3", family="inet", table="t", chain="c", handle=3)


def test_the_policy_that_decided_is_named() -> None:
    (cause,) = ask(datapath(table("t", {"c": (base("input", 0, "drop"), [])})), probe()).causes
    assert (cause.what, cause.text, cause.chain) == ("policy", "policy drop of chain c", "c")


def test_without_any_rules_nothing_filters() -> None:
    (cause,) = ask(datapath(), probe()).causes
    assert (cause.what, cause.handle) == ("policy", 0)


def test_what_is_no_rule_is_a_cause_of_its_own() -> None:
    (cause,) = ask(datapath(), probe(source="192.0.2.10")).causes
    assert cause.what == "martian"
    assert "192.0.2.10" in cause.text


def test_steps_follow_the_way_and_say_what_was_not_sure() -> None:
    chains = {
        "c": (base("input", 0, "drop"), [[{"jump": {"target": "sub"}}], [WEB, ACCEPT]]),
        "sub": ({}, [[{"limit": {"rate": 5}}, DROP]]),
    }
    answer = ask(datapath(table("t", chains)), probe())
    assert answer.verdict is Verdict.UNCERTAIN
    assert [(step.hook, step.chain, step.handle, step.maybe) for step in answer.steps] == [
        ("input", "inet t c", 2, False),
        ("input", "inet t sub", 4, True),
        ("input", "inet t c", 3, False),
    ]
    assert "rule 4" in answer.unknown[0]


def test_an_uncertain_answer_of_which_no_step_said_why_names_what_it_may_meet() -> None:
    limit = {"limit": {"rate": 5, "per": "second"}}
    journey = Journey(datapath(table("t", {"c": (base("input"), [[limit, DROP]])})), [probe()])
    journey.run()
    for walker in journey.walkers:
        walker.doubts.clear()
    answer = Answers(journey).answer(0)
    assert answer.verdict is Verdict.UNCERTAIN
    assert len(answer.unknown) == 1
    assert "rule 2" in answer.unknown[0]
    assert UNTRACED in answer.unknown[0]


def test_a_decided_answer_names_nothing_unknown() -> None:
    rules = [[{"limit": {"rate": 5}}, ACCEPT], [ACCEPT]]
    answer = ask(datapath(table("t", {"c": (base("input", 0, "drop"), rules)})), probe())
    assert (answer.verdict, answer.unknown) == (Verdict.REACHABLE, ())
    assert [cause.handle for cause in answer.causes] == [2, 3]


def rules(count: int) -> list[list[dict[str, object]]]:
    made: list[list[dict[str, object]]] = []
    for number in range(count):
        network = {"prefix": {"addr": f"10.{number // 256 % 256}.{number % 256}.0", "len": 24}}
        port = 1000 + number
        made.append(
            [
                [match("ip saddr", network), match("tcp dport", port), ACCEPT],
                [match("tcp dport", {"set": [port, port + 1, 9]}), ACCEPT],
                [match("meta iifname", "wan7"), match("udp dport", {"range": [port, port + 50]}), DROP],
                [
                    match(
                        {"concat": [field("ip saddr"), field("tcp dport")]}, {"set": [{"concat": ["10.0.0.1", port]}]}
                    ),
                    DROP,
                ],
            ][number % 4]
        )
    return made


def test_two_thousand_rules_and_eight_hundred_probes_take_a_fraction_of_a_second() -> None:
    rows = {**HOST, **table("t", {"c": (base("input", 0, "drop"), rules(2000))})}
    probes = [
        probe(20 + port * 11, source=source)
        for port in range(200)
        for source in ("203.0.113.7", "203.0.113.8", "198.51.100.9", "10.0.1.5")
    ]
    times = []
    for _ in range(3):
        start = time.process_time()
        assert len(evaluate(Reader().read(rows), probes).verdicts()) == 800
        times.append(time.process_time() - start)
    assert min(times) < 1.0


def test_one_changed_rule_of_a_thousand_is_parsed_alone() -> None:
    reader = Reader()
    made = rules(1000)
    reader.read({**HOST, **table("t", {"c": (base("input", 0, "drop"), made)})})
    alone, whole = [], []
    for place in (500, 501, 502):
        made[place] = [WEB, ACCEPT]
        changed = {**HOST, **table("t", {"c": (base("input", 0, "drop"), made)})}
        for times, by in ((alone, reader), (whole, Reader())):
            start = time.process_time()
            read = by.read(changed)
            times.append(time.process_time() - start)
            assert evaluate(read, [probe(), probe(81)]).verdicts()[:2] == (Verdict.REACHABLE, Verdict.BLOCKED)
    assert min(alone) < min(whole) / 3
