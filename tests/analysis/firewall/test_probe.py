"""Questions and answers are values that travel: they encode, and equal ones are equal."""

import msgspec

from analysis.firewall.probe import SOURCE_PORT, Answer, Cause, Probe, Verdict


def test_a_probe_travels_as_json_and_back() -> None:
    one = Probe(family=4, protocol="tcp", source="203.0.113.7", destination="192.0.2.10", port=80)
    assert msgspec.json.decode(msgspec.json.encode(one), type=Probe) == one
    assert one.source_port == SOURCE_PORT


def test_an_answer_travels_with_its_causes() -> None:
    answer = Answer(verdict=Verdict.BLOCKED, causes=(Cause(what="rule", text="tcp dport 80 drop", handle=7),))
    assert msgspec.json.decode(msgspec.json.encode(answer), type=Answer) == answer
