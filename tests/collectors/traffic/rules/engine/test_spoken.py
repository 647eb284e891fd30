"""Transactions are looked at where the header of a rule for their protocol fits, and nowhere else."""

import numpy as np

from collectors.traffic.rules.engine import spoken
from collectors.traffic.rules.engine.engine import Engine
from collectors.traffic.rules.engine.headers import HeaderKinds
from collectors.traffic.rules.engine.plan import Compiled
from collectors.traffic.rules.engine.prepared import Later
from collectors.traffic.rules.engine.sets import HeaderSets
from collectors.traffic.rules.engine.spoken import Spoken
from tests.collectors.traffic.rules.engine import scene


def _wanted(*lines: str, names: list[spoken.Names]) -> list[bool]:
    sets = HeaderSets()
    headers = spoken.headers([Compiled(rule, sets, Later) for rule in scene.rules(*lines)])
    kinds = HeaderKinds(sets, range(len(sets.addresses)), list(headers.values()))
    rows = scene.rows(scene.fed([scene.udp(b"x", dport=53)]))
    found = Spoken(kinds, 0, list(headers)).wanted(rows, np.zeros(len(names), np.int64), names)
    return [bool(one) for one in found]


def test_a_rule_wants_the_transactions_of_its_protocol() -> None:
    line = 'alert dns any any -> any 53 (dns.query; content:"a";)'
    names = [("dns", "dns"), ("tls", "tls"), ("", "dns"), ("dns", "ftp")]
    assert _wanted(line, names=names) == [True, False, True, True]


def test_a_header_that_does_not_fit_wants_nothing() -> None:
    line = 'alert dns any any -> any 54 (dns.query; content:"a";)'
    assert _wanted(line, names=[("dns", "dns")]) == [False]
    assert _wanted(line.replace("->", "<>").replace("any 54", "any 40000"), names=[("dns", "dns")]) == [True]


def test_a_rule_for_every_protocol_wants_all() -> None:
    line = 'alert udp any any -> any any (file.data; content:"a";)'
    assert _wanted(line, names=[("dns", "dns"), ("tls", "tls")]) == [True, True]


def test_only_what_is_wanted_is_looked_through() -> None:
    talk = scene.Talk().ask(scene.request("/needle")).answer(scene.response(b"needle")).close()
    for port, found in ((80, 1), (81, 0)):
        fed = scene.fed(talk.packets)
        engine = Engine(scene.rules(f'alert http any any -> any {port} (http.uri; content:"needle";)'), fed[5])
        assert len(engine.feed(*fed)) == found
        assert engine.found["buffer"] == found
