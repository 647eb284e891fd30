"""One probe explained in lines."""

from analysis.firewall.picture import explained, question
from analysis.firewall.probe import Answer, Cause, Probe, Step, Verdict

PROBE = Probe(family=4, protocol="tcp", source="203.0.113.7", destination="198.51.100.5", port=8080, interface="eth0")
DROP = Cause(what="rule", text="tcp dport 8080 drop", family="inet", table="filter", chain="input", handle=9)


def told(answer: Answer, **more) -> str:
    return "\n".join(explained(PROBE, answer, **more))


def test_the_question_names_both_ends_and_the_interface() -> None:
    assert question(PROBE) == "tcp from 203.0.113.7 to 198.51.100.5 port 8080, arriving by eth0"
    own = Probe(family=4, protocol="udp", source="127.0.0.1", destination="127.0.0.1", port=53)
    assert question(own).endswith("sent by this host itself")


def test_the_cause_stands_with_table_chain_and_handle() -> None:
    text = told(Answer(verdict=Verdict.BLOCKED, causes=(DROP,)))
    assert "Answer:   blocked" in text
    assert "Because:  inet filter input handle 9: tcp dport 8080 drop" in text


def test_steps_stand_in_columns_with_what_may_not_happen() -> None:
    steps = (
        Step(hook="prerouting", chain="ip nat PREROUTING", text="dnat to 172.17.0.2:80", handle=4),
        Step(hook="forward", chain="ip filter FORWARD", text="limit rate 3/second", maybe=True),
    )
    answer = Answer(
        verdict=Verdict.UNCERTAIN, steps=steps, unknown=("limit rate 3/second",), forwarded=True, destination="172.17.0.2",
        port=80, interface="docker0",
    )  # fmt: skip
    text = told(answer)
    assert "Sent to:  172.17.0.2:80, forwarded by docker0" in text
    assert "Unknown:  limit rate 3/second" in text
    assert "    1  prerouting  ip nat PREROUTING  dnat to 172.17.0.2:80 [handle 4]" in text
    assert "    2  forward     ip filter FORWARD  perhaps: limit rate 3/second" in text
    assert "Way:" not in told(answer, steps=False)


def test_where_it_was_not_translated_nothing_is_said_of_it() -> None:
    answer = Answer(verdict=Verdict.REACHABLE, destination="198.51.100.5", port=8080)
    text = told(answer, taker="nginx (tcp/0.0.0.0:8080)")
    assert "Sent to" not in text
    assert "Taken by: nginx (tcp/0.0.0.0:8080)" in text


def test_what_became_of_the_answer_is_told_apart() -> None:
    routing = Cause(what="routing", text="no route to 203.0.113.7", answer=True)
    assert "Because:  the answer: no route to 203.0.113.7" in told(Answer(verdict=Verdict.BLOCKED, causes=(routing,)))


def test_what_is_let_in_where_nobody_listens_is_not_called_reachable() -> None:
    text = told(Answer(verdict=Verdict.REACHABLE), nobody="nothing listens there")
    assert "Answer:   let in by the rules, but nothing listens there" in text
