"""Real tools against a whole agent with blocking on: who is proven is banned in the kernel, who may be forged never is."""

import subprocess
import sys

from tests.agent.test_traffic_end_to_end import CLIENT, SERVER, Site, site

__all__ = ["site"]

HOME = f"{{home: [{SERVER}/32]}}"
OPEN = f"""
import selectors, socket
chosen = selectors.DefaultSelector()
for port in (21, 22, 25, 110, 143):
    chosen.register(socket.create_server(("{SERVER}", port)), selectors.EVENT_READ)
print("open", flush=True)
held = []
while True:
    held += [key.fileobj.accept() for key, _ in chosen.select()]
"""


def test_a_connect_scan_by_nmap_is_a_finding_and_a_ban_in_the_kernel(site: Site) -> None:
    agent = site.start(block="true", detectors=HOME)
    server = subprocess.Popen(site.victim.argv(sys.executable, "-c", OPEN), stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None and server.stdout.readline() == "open\n"
        scan = ("nmap", "-n", "-Pn", "-sT", "-p", "1-400", "--max-retries", "0", SERVER)
        site.attacker.run(*scan, check=False)
        found = agent.event("traffic.ports_scanned", 30)["fields"]
        assert (found["source"], found["subject"], found["proven"], found["blocking"]) == (CLIENT, SERVER, True, True)
        agent.until(lambda: CLIENT in site.victim.run("nft", "list", "ruleset"), 30)
        assert "port" in agent.event("block.address_blocked", 30)["fields"]["reason"]
        assert site.curl("/", 1) != 0, "banned"
    finally:
        server.kill()
        server.wait()


def test_a_flood_with_forged_senders_names_the_service_and_bans_nobody(site: Site) -> None:
    agent = site.start(block="true", detectors=HOME)
    agent.until(lambda: site.curl("/") == 0, 30)
    # From now on it answers whoever it is said to come from. Before, the web server would ask for names along this way.
    site.victim.run("ip", "route", "add", "default", "via", CLIENT)
    flood = ("hping3", "-q", "-n", "-S", "--rand-source", "-p", "80", "-i", "u300", "-c", "6000", SERVER)
    site.attacker.run(*flood, check=False)
    event = agent.event("traffic.service_flooded", 30)
    fields = event["fields"]
    assert SERVER in fields["subject"] and "80" in fields["subject"], fields
    assert not fields["proven"] and not fields["source"], fields
    bans = agent.ask("subject", subject="bans")["rows"]
    assert bans in ({}, []), bans
    assert not {"block.address_blocked", "block.address_limited"} & set(agent.kinds())
    assert site.curl("/", 5) == 0, "and the service is reached"
