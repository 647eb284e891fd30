"""`python -m tests.collectors.traffic.soak`: the fuzz tests, each in a process of its own, with seed, time and peak memory."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
TESTS = ("protocols/test_parser_fuzz.py", "test_fuzz.py", "test_whole_fuzz.py")
ENDLESS = "timeout=86400"


def main() -> int:
    """Run them all; further words go to pytest. Returns 1 when one fails."""
    failed = 0
    for name in TESTS:
        begun = time.monotonic()
        words = [sys.executable, "-m", "pytest", "-q", "-o", ENDLESS, str(HERE / name), *sys.argv[1:]]
        child = subprocess.Popen(words)
        _, status, used = os.wait4(child.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        failed += bool(code)
        print(
            f"{'FAILED' if code else 'ok':6} {name}: seed {os.environ.get('HOLDFAST_SEED', '1')}, "
            f"{time.monotonic() - begun:,.0f} s, {_processor(used):,.0f} s of processor, {used.ru_maxrss / 1024:,.0f} MiB at most",
            flush=True,
        )
    return int(failed > 0)


def _processor(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
