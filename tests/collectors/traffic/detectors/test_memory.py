"""What is remembered by flow: grown with the table, forgotten for new flows."""

import numpy as np

from collectors.traffic.detectors.memory import NOWHERE, Memory


def test_growing_keeps_what_is_known_and_new_flows_know_nothing() -> None:
    memory = Memory()
    memory.room(4)
    memory.begin(np.arange(4))
    memory.said[1, 2], memory.proven[2], memory.home[0, 2] = 7, True, 3
    memory.room(100)
    assert (int(memory.said[1, 2]), bool(memory.proven[2]), int(memory.home[0, 2])) == (7, True, 3)
    memory.begin(np.array([2]))
    assert (int(memory.said[1, 2]), bool(memory.proven[2]), int(memory.home[0, 2])) == (0, False, NOWHERE)
    memory.room(50)
    assert len(memory.made) == 100
