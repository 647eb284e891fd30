"""The sensor in a whole agent: an attack from another namespace becomes an event, and a ban in the kernel; rules and settings are exchanged
while flows go on; what it cannot see, it says."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.test_end_to_end import Agent

ATTACK = 'drop http any any -> any any (msg:"HFL attack"; http.uri; content:"/etc/passwd"; classtype:web-application-attack; \
metadata:mitre_technique_id T1190; sid:9000001; rev:3;)\n'
SECOND = 'alert http any any -> any any (msg:"HFL second"; http.uri; content:"/second"; flow:established; sid:9000002;)\n'
SERVER, CLIENT = "198.51.100.1", "198.51.100.66"


class Space:
    """A network namespace that lives as long as a sleeping process in it."""

    def __init__(self) -> None:
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "900"])
        while os.readlink(f"/proc/{self.holder.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)

    def argv(self, *words: str) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", *words]

    def run(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(self.argv(*words), capture_output=True, text=True, check=check, timeout=30)
        return done.stdout

    def end(self) -> None:
        self.holder.kill()
        self.holder.wait()


class Site:
    """A victim with a real web server and the agent, and an attacker, joined by a cable."""

    def __init__(self, folder: Path) -> None:
        self.victim, self.attacker = Space(), Space()
        self.agent = Agent(folder)
        self.rules = folder / "rules"
        self.rules.mkdir()
        (self.rules / "local.rules").write_text(ATTACK)
        self.victim.run("ip", "link", "add", "hflv", "type", "veth", "peer", "name", "hfla")
        self.victim.run("ip", "link", "set", "hfla", "netns", str(self.attacker.holder.pid))
        for space, name, address in ((self.victim, "hflv", SERVER), (self.attacker, "hfla", CLIENT)):
            space.run("ip", "addr", "add", f"{address}/24", "dev", name)
            space.run("ip", "link", "set", name, "up")
            space.run("ip", "link", "set", "lo", "up")
        root = folder / "www"
        root.mkdir()
        server = [sys.executable, "-m", "http.server", "80", "--bind", SERVER, "--directory", str(root)]
        self.server = subprocess.Popen(self.victim.argv(*server), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def settings(self, **more: str) -> str:
        given = {"enabled": "true", "interfaces": "[hflv]", "rules": f"[{self.rules}]", "rules_every": "1s", **more}
        given.setdefault("addresses", f"{{HOME_NET: {SERVER}}}")
        section = ", ".join(f"{name}: {value}" for name, value in given.items())
        return (
            "outputs: {journald: {enabled: false}}\nactions: {block: {watch: 200ms, shadow: 0s}}\n"
            f"collectors: {{traffic: {{{section}}}}}\n"
        )

    def start(self, **more: str) -> Agent:
        self.agent.configure(self.settings(**more))
        self.agent.start()
        self.ready()
        return self.agent

    def ready(self) -> None:
        self.agent.until(lambda: "traffic.rules_loaded" in self.agent.kinds(), 60)

    def curl(self, path: str, seconds: int = 3) -> int:
        argv = self.attacker.argv("curl", "-s", "-o", "/dev/null", "-m", str(seconds), f"http://{SERVER}{path}")
        return subprocess.run(argv, check=False).returncode

    def end(self) -> None:
        self.server.kill()
        self.server.wait()
        self.agent.stop(signal.SIGTERM)
        for space in (self.victim, self.attacker):
            space.end()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    real = subprocess.Popen
    with tempfile.TemporaryDirectory(prefix="holdfast-") as name:
        Path(name).chmod(0o755)
        made = Site(Path(name))

        def inside(argv: list[str], *rest: Any, **words: Any) -> Any:
            if argv[:2] == ["unshare", "--net"]:
                argv = made.victim.argv(*argv[2:])
            return real(argv, *rest, **words)

        monkeypatch.setattr(subprocess, "Popen", inside)
        try:
            yield made
        finally:
            made.end()


def test_an_attack_is_an_event_and_a_ban_in_the_kernel_within_seconds(site: Site) -> None:
    agent = site.start(block="true")
    assert site.curl("/") == 0, "the web server answers"
    began = time.monotonic()
    site.curl("/?file=/etc/passwd")
    event = agent.event("traffic.alert", 10)
    fields = event["fields"]
    assert (fields["sid"], fields["rev"], fields["signature"]) == (9000001, 3, "HFL attack")
    assert (fields["source"], fields["destination"], fields["destination_port"]) == (CLIENT, SERVER, 80)
    assert (fields["offender"], fields["proven"], fields["blocking"]) == (CLIENT, True, True)
    assert fields["techniques"] == ["T1190"] and event["severity"] == 4 and fields["interface"] == "hflv"
    assert '"url":"/?file=/etc/passwd"' in event["evidence"]["eve"]
    agent.until(lambda: CLIENT in site.victim.run("nft", "list", "ruleset"), 10)
    assert time.monotonic() - began < 10
    assert site.curl("/", 1) != 0, "banned"
    blocked = agent.event("block.address_blocked", 10)
    assert blocked["fields"]["reason"].startswith("rule 9000001")
