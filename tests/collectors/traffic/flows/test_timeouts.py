"""Timeouts are Suricata's, by protocol and state."""

import numpy as np

from collectors.traffic.flows.timeouts import CLOSED, EMERGENCY, ESTABLISHED, NEW, Timeouts, classes, kinds


def test_each_protocol_and_state_has_its_time() -> None:
    table = Timeouts().table_ns() // 10**9
    protocols = np.array([6, 6, 6, 17, 17, 1, 58, 132], np.uint8)
    states = np.array([NEW, ESTABLISHED, CLOSED, NEW, ESTABLISHED, NEW, ESTABLISHED, ESTABLISHED], np.uint8)
    assert table[kinds(protocols, states)].tolist() == [60, 600, 60, 30, 300, 30, 300, 300]
    assert classes(protocols).tolist() == [0, 0, 0, 1, 1, 2, 2, 3]


def test_an_emergency_is_never_more_patient() -> None:
    assert (EMERGENCY.table_ns() <= Timeouts().table_ns()).all()
