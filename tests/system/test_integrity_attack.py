"""A seeded attack on an installed system: every deed of an intruder is told, each with its kind, from the kernel to the console.

Everything is real: systemd's units with their hardening, the reader's watch, the core's spool, the wire, the console's database.
"""

import json
import os
import random
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.system.conftest import PATIENCE_S, Container, enroll

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

SETTINGS = "collectors: {integrity: {enabled: true, pace: {io: 100, cpu: 100}, watch: {lab: {paths: [/opt/lab]}}}}\n"
"""An overlay has no immutable files, and to rename one there is to make another: those deeds are done in a file system beside it."""
SEED = int(os.environ.get("HOLDFAST_SEED", "20261122"))

# A name of each deed: the shell's words, and what is to be told: path, kind, and a technique where the content means one.
Told = tuple[tuple[str, str, str], ...]
DEEDS: dict[str, tuple[str, Told]] = {
    "trojaned binary": (
        "cp /usr/bin/true /usr/bin/comm", (("/usr/bin/comm", "modified", ""),)
    ),
    "trojaned and dated back": (
        "cp /usr/bin/true /usr/bin/paste; touch -d 2020-01-01 /usr/bin/paste", (("/usr/bin/paste", "timestomped", ""),)
    ),
    "set-uid": ("chmod u+s /usr/bin/tac", (("/usr/bin/tac", "setuid_changed", ""),)),
    "new set-uid program": (
        "cp /usr/bin/env /usr/bin/sysinfo; chmod 4755 /usr/bin/sysinfo", (("/usr/bin/sysinfo", "setuid_changed", ""),)
    ),
    "unit": (
        "printf '[Service]\\nExecStart=/usr/bin/nc\\n' > /etc/systemd/system/backdoor.service; "
        "ln -s /etc/systemd/system/backdoor.service /etc/systemd/system/multi-user.target.wants/backdoor.service",
        (
            ("/etc/systemd/system/backdoor.service", "created", "T1543.002"),
            ("/etc/systemd/system/multi-user.target.wants/backdoor.service", "created", ""),
        ),
    ),
    "authorized_keys": (
        "echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBbb evil' > /root/.ssh/authorized_keys",
        (("/root/.ssh/authorized_keys", "created", "T1098.004"),),
    ),
    "cron": (
        "printf '* * * * * root /usr/bin/nc\\n' > /etc/cron.d/backdoor", (("/etc/cron.d/backdoor", "created", "T1053.003"),)
    ),
    "LD_PRELOAD": (
        "cp /usr/lib/*-linux-gnu/libm.so.6 /usr/lib/evil.so; printf '/usr/lib/evil.so\\n' > /etc/ld.so.preload",
        (("/usr/lib/evil.so", "created", ""), ("/etc/ld.so.preload", "created", "T1574.006")),
    ),
    "bind mount": (
        "cp /usr/bin/false /tmp/evil; mount --bind /tmp/evil /usr/bin/nl", (("/usr/bin/nl", "", ""),)
    ),
    "swapped by renames": (
        "mv /usr/bin/sum /usr/bin/sum.real; cp /usr/bin/true /usr/bin/sum",
        # Where a look falls between the two, the name is new at the second: that is what was there.
        (("/usr/bin/sum.real", "", ""), ("/usr/bin/sum", "modified|created", "")),
    ),
    "renamed twice": (
        "mv /opt/lab/other /opt/lab/.t; mv /opt/lab/.t /opt/lab/third", (("/opt/lab/third", "renamed", ""),)
    ),
    "exchanged": (
        "mv /usr/bin/fmt /usr/bin/.x; mv /usr/bin/fold /usr/bin/fmt; mv /usr/bin/.x /usr/bin/fold",
        (("/usr/bin/fmt", "", ""), ("/usr/bin/fold", "", "")),
    ),
    "hard link": ("ln /usr/bin/env /usr/bin/sysupdate", (("/usr/bin/sysupdate", "created", ""),)),
    "immutable": ("chattr +i /opt/lab/tool", (("/opt/lab/tool", "attributes_changed", ""),)),
    "capability": ("setcap cap_setuid+ep /usr/bin/join", (("/usr/bin/join", "capabilities_changed", ""),)),
    "account": (
        "echo 'eve:x:0:0::/root:/bin/bash' >> /etc/passwd; echo 'eve:$6$abc$def:20000:0:99999:7:::' >> /etc/shadow",
        (("/etc/passwd", "modified", "T1136.001"), ("/etc/shadow", "modified", "")),
    ),
    "owner": ("chown nobody /usr/bin/shuf", (("/usr/bin/shuf", "owner_changed", ""),)),
    "deleted": ("rm /usr/bin/unexpand", (("/usr/bin/unexpand", "deleted", ""),)),
    "link led elsewhere": ("ln -sfn /tmp/evil /usr/bin/pager", (("/usr/bin/pager", "link_changed", ""),)),
    "through a name of bytes": (
        "cp /usr/bin/true \"$(printf '/usr/bin/n\\377\\nl')\"", (("/usr/bin/n\\xff\nl", "created", ""),)
    ),
}  # fmt: skip


class Console:
    """What the console's database holds of integrity's events."""

    def __init__(self, container: Container) -> None:
        (self._path,) = (container.root / "var/lib/holdfast/console").glob("*.db")

    def events(self) -> list[dict[str, Any]]:
        base = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=10)
        try:
            rows = base.execute("SELECT body FROM events WHERE kind LIKE 'integrity.%' ORDER BY rowid").fetchall()
        finally:
            base.close()
        return [msgspec.msgpack.decode(body)["event"] for (body,) in rows]

    def told(self, after: int) -> dict[str, list[dict[str, Any]]]:
        """Return the events on single files by path, of those after so many."""
        found: dict[str, list[dict[str, Any]]] = {}
        for event in self.events()[after:]:
            if "path" in event["fields"]:
                found.setdefault(event["fields"]["path"], []).append(event)
        return found


@pytest.fixture(scope="module")
def watched(container: Container) -> Iterator[Container]:
    """The booted system with its files watched; what the attack changed is put right again as far as others need it."""
    container.run(
        "sh", "-ec", "mkdir -p -m 0700 /root/.ssh; mkdir -p /etc/cron.d /opt/lab; ln -sfn /usr/bin/more /usr/bin/pager"
    )
    container.run(
        "sh", "-ec", "mount -t tmpfs hflab /opt/lab; cp /usr/bin/true /opt/lab/tool; cp /usr/bin/false /opt/lab/other"
    )
    container.run("tee", "/etc/holdfast/agent.d/integrity.yaml", text=SETTINGS)
    enroll(container)
    container.run("systemctl", "reload", "holdfast-agent.service")
    console = Console(container)
    container.wait_for(
        lambda: any(event["kind"] == "integrity.baseline_made" for event in console.events()), "the baseline"
    )
    yield container
    undo = "chattr -i /opt/lab/tool; umount /opt/lab; umount /usr/bin/nl; rm -f /etc/ld.so.preload /etc/cron.d/backdoor"
    container.run("sh", "-c", undo + " /root/.ssh/authorized_keys; sed -i /^eve:/d /etc/passwd /etc/shadow")
    container.run("rm", "/etc/holdfast/agent.d/integrity.yaml")
    container.run("systemctl", "reload", "holdfast-agent.service")


def test_every_deed_of_an_attack_is_at_the_console_with_its_kind_and_nothing_beside(watched: Container) -> None:
    console, chance = Console(watched), random.Random(SEED)
    before = _settled(watched, console)
    names = list(DEEDS)
    chance.shuffle(names)
    for name in names:
        watched.run("sh", "-ec", DEEDS[name][0])
        time.sleep(chance.choice((0, 0, 0.05, 0.4)))
    watched.run("holdfast", "integrity", "scan", "/opt/lab", check=False)  # the kernel gives no notice of chattr
    wanted = [each for name in names for each in DEEDS[name][1]]
    end = time.monotonic() + PATIENCE_S
    while missing := [path for path, _, _ in wanted if path not in console.told(before)]:
        assert time.monotonic() < end, f"seed {SEED}: not told: {missing}\ntold: {sorted(console.told(before))}"
        time.sleep(0.2)
    told = console.told(before)
    wrong = [one for one in wanted if not _is_told(told[one[0]], *one[1:])]
    assert wrong == [], json.dumps({path: told[path] for path, _, _ in wrong}, indent=1, default=str)[:6000]
    renamed = {event["fields"].get("former") for events in told.values() for event in events}
    assert set(told) - {path for path, _, _ in wanted} - renamed <= {"/usr/bin/.x", "/opt/lab/.t", "/opt/lab/other"}, (
        f"seed {SEED}"
    )
    assert json.loads(watched.run("holdfast", "coverage", "--json", check=False).stdout)["sights"]


def _settled(container: Container, console: Console) -> int:
    """Wait until nothing more comes, and return how many events there are."""
    count, since = -1, time.monotonic()
    end = since + PATIENCE_S
    while time.monotonic() - since < 8:
        assert time.monotonic() < end
        now = len(console.events())
        if now != count:
            count, since = now, time.monotonic()
        time.sleep(0.2)
    return count


def _is_told(events: list[dict[str, Any]], kind: str, technique: str) -> bool:
    if kind and not any(event["kind"].removeprefix("integrity.") in kind.split("|") for event in events):
        return False
    return not technique or any(technique in (event["fields"].get("techniques") or ()) for event in events)
