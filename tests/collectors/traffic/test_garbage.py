"""Garbage is looked for seldom, and what is there already not at all."""

import subprocess
import sys

from collectors.traffic.garbage import MIDDLE, OLD, YOUNG

_PROCESS = """
import gc
from collectors.traffic.garbage import seldom
class Ring: pass
for _ in range(2):
    ring = Ring(); ring.self = ring
    del ring
    seldom()
print(*gc.get_threshold(), gc.get_freeze_count() > 0, sum(type(one) is Ring for one in gc.get_objects()))
"""


def test_thresholds_are_high_and_rings_are_let_go_of_before() -> None:
    done = subprocess.run([sys.executable, "-c", _PROCESS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(YOUNG), str(MIDDLE), str(OLD), "True", "0"]
