"""After a reboot the confirmed policy and the bans are in place before the network is up, with the agent stopped. Runs last: it reboots."""

import json
import re

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

UNIT = "holdfast-firewall.service"
STATE = "/var/lib/holdfast/netfilter"
POLICY = """
firewall:
  policy:
    enforce: true
    services:
      ssh: {ports: [22], from: [192.0.2.0/24, "2001:db8::/32"], rate: 30/minute}
      web: {ports: [80, 443]}
  guard: {enabled: true}
"""
BANS = {"bans": {"203.0.113.7": {"since_ms": 1, "who": "root", "reason": "a test"}}}


def nft(container) -> str:
    return container.run("nft", "list", "ruleset").stdout


def write(container, path: str, text: str) -> None:
    container.run("tee", path, text=text)


@pytest.fixture(scope="module")
def confirmed(container):
    """The container with a policy that was applied and confirmed by its agent, as an admin would."""
    if container.run("sh", "-c", "command -v holdfast", check=False).returncode:  # another file's last test removed it
        container.run("make", "-C", "/src", "install", "PIP_ARGS=--no-index --find-links=/wheels", timeout_s=600)
    write(container, "/etc/holdfast/agent.d/policy.yaml", POLICY)
    container.run("systemctl", "enable", "holdfast-agent.service")
    container.run("systemctl", "restart", "holdfast-agent.service")
    container.wait_for(
        lambda: container.run("holdfast", "firewall", "policy", "plan", check=False).returncode in (0, 1)
    )
    container.run("holdfast", "firewall", "policy", "apply")
    container.run("holdfast", "firewall", "policy", "confirm")
    return container


def test_the_workers_sandbox_lets_it_apply_and_confirm_a_policy(confirmed) -> None:
    assert "goto policy_input" in nft(confirmed)
    assert confirmed.run("stat", "-c", "%U %a", f"{STATE}/policy.json").stdout.split() == ["holdfast-netfilter", "600"]
    assert confirmed.run("holdfast", "firewall", "policy", "plan", "--look", check=False).returncode == 0


def test_the_workers_sandbox_lets_the_guard_restore_nftables_and_iptables(confirmed) -> None:
    write(
        confirmed,
        "/root/rules",
        "table inet site {\n chain c {\n type filter hook input priority 5; policy drop;\n accept\n }\n}\n",
    )
    confirmed.run("nft", "-f", "/root/rules")
    confirmed.run("iptables-nft", "-A", "INPUT", "-p", "tcp", "--dport", "1", "-j", "DROP")
    confirmed.run("holdfast", "firewall", "accept")
    confirmed.run("nft", "flush", "ruleset")
    confirmed.wait_for(lambda: "table inet site" in nft(confirmed) and "goto policy_input" in nft(confirmed))
    confirmed.wait_for(lambda: "--dport 1 -j DROP" in confirmed.run("iptables-nft-save").stdout)
    confirmed.run("nft", "delete table inet site; delete table ip filter")


def test_the_unit_is_sandboxed_as_tightly_as_its_siblings(confirmed) -> None:
    said = confirmed.run("systemd-analyze", "security", "--no-pager", UNIT).stdout
    assert float(re.findall(r"Overall exposure level for \S+: ([\d.]+)", said)[0]) <= 2.0


def test_policy_and_bans_are_in_place_before_the_network(confirmed) -> None:
    assert confirmed.run("systemctl", "is-enabled", UNIT).stdout.strip() == "enabled"
    write(confirmed, f"{STATE}/bans.json", json.dumps(BANS))
    confirmed.run("chown", "holdfast-netfilter:holdfast-netfilter", f"{STATE}/bans.json")
    # Another that starts with a flush, as Debian's own does, and no agent.
    confirmed.run("systemctl", "enable", "nftables.service")
    confirmed.run("systemctl", "disable", "--now", "holdfast-agent.service")
    confirmed.run("systemctl", "enable", UNIT)
    confirmed.reboot()
    assert confirmed.property("holdfast-agent.service", "ActiveState") == "inactive"
    assert confirmed.property(UNIT, "ActiveState") == "active"
    ruleset = nft(confirmed)
    assert "goto policy_input" in ruleset and 'comment "service web"' in ruleset
    assert "table inet holdfast_block" in ruleset and "203.0.113.7" in ruleset
    ready = int(confirmed.property(UNIT, "ActiveEnterTimestampMonotonic"))
    assert 0 < ready <= int(confirmed.property("network-pre.target", "ActiveEnterTimestampMonotonic"))
    assert int(confirmed.property("nftables.service", "ActiveEnterTimestampMonotonic")) <= ready
    said = confirmed.run("journalctl", "-b", "-u", UNIT, "--no-pager").stdout
    assert "policy.json: in place" in said and "bans.json: in place" in said
    assert "ordering cycle" not in confirmed.run("journalctl", "-b", "--no-pager").stdout


def test_what_cannot_be_restored_is_told_and_does_not_block_the_boot(confirmed) -> None:
    write(confirmed, f"{STATE}/policy.json", "{")
    confirmed.reboot()
    assert confirmed.property("multi-user.target", "ActiveState") == "active"
    assert confirmed.property(UNIT, "ActiveState") == "failed"
    said = confirmed.run("journalctl", "-b", "-u", UNIT, "--no-pager").stdout
    assert "policy.json is damaged" in said and "bans.json: in place" in said
    assert "203.0.113.7" in nft(confirmed)


def test_uninstalling_lifts_policy_and_bans(confirmed) -> None:
    confirmed.run("nft", "add table inet holdfast; add table inet site")
    confirmed.run("make", "-C", "/src", "uninstall")
    tables = confirmed.run("nft", "list", "tables").stdout
    assert "holdfast" not in tables and "inet site" in tables
    assert not confirmed.run("systemctl", "cat", UNIT, check=False).stdout
