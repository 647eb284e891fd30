"""Changes of a real ruleset are heard at once, bursts once, and nothing is heard without the capability."""

import json
import subprocess
import time
from typing import Any

HEAR = """
import json, os, sys, time
from host import ruleset_monitor
class Stop:
    def __init__(self): self.read, self.write = os.pipe()
    def is_set(self): return False
    def fileno(self): return self.read
print("ready", flush=True)
for change in ruleset_monitor.changes(Stop()):
    print(json.dumps([change.word, time.monotonic()]), flush=True)
"""


def hear(netns: Any) -> subprocess.Popen[bytes]:
    import sys
    from pathlib import Path

    process = subprocess.Popen(
        netns.inside(sys.executable, "-c", HEAR), stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    netns.running.append(process)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    time.sleep(0.2)
    return process


def heard(process: subprocess.Popen[bytes]) -> tuple[str, float]:
    assert process.stdout is not None
    word, at = json.loads(process.stdout.readline())
    return word, at


def test_a_change_is_heard_within_fifty_milliseconds(netns: Any) -> None:
    process = hear(netns)
    delays = []
    for name in ("a", "b", "c", "d", "e"):
        netns.run("nft", "add", "table", "inet", name)
        done = time.monotonic()
        word, at = heard(process)
        assert word == "changed"
        delays.append(at - done)
    assert sorted(delays)[2] < 0.05


def test_a_burst_is_heard_once(netns: Any) -> None:
    process = hear(netns)
    rules = "\n".join(f"add rule inet t c tcp dport {port} accept" for port in range(1, 500))
    subprocess.run(
        netns.inside("nft", "-f", "-"), input=f"add table inet t\nadd chain inet t c\n{rules}\n".encode(), check=True
    )
    words = [heard(process)[0]]
    time.sleep(0.3)
    netns.run("nft", "flush", "ruleset")
    words.append(heard(process)[0])
    assert words == ["changed", "changed"]


def test_without_the_capability_it_says_so(netns: Any) -> None:
    code = """
import json
from contracts.errors import Unavailable
from host import ruleset_monitor
class Stop:
    def is_set(self): return False
    def fileno(self): return 0
try:
    next(ruleset_monitor.changes(Stop()))
except Unavailable as error:
    print(json.dumps([error.why, error.message, error.advice]))
"""
    reason, message, advice = netns.python(code, capabilities=())
    assert reason == "permission"
    assert "CAP_NET_ADMIN" in message
    assert "CAP_NET_ADMIN" in advice


OVERFLOW = """
import json, os, subprocess
from host import multicast, netlink
multicast._ROOM = 2048
class Stop:
    def __init__(self): self.read, self.write = os.pipe()
    def is_set(self): return False
    def fileno(self): return self.read
hearing = multicast.subscribe(netlink.NETLINK_NETFILTER, (7,), "changes")
rules = "".join(f"add rule inet t c tcp dport {port} accept\\n" for port in range(1, 2000))
subprocess.run(["nft", "-f", "-"], input=("add table inet t\\nadd chain inet t c\\n" + rules).encode(), check=True)
print(json.dumps(multicast.drain(hearing, "changes")))
"""


def test_what_did_not_fit_is_said_to_have_been_missed(netns: Any) -> None:
    assert netns.python(OVERFLOW) == "overflow"
