"""Who made what, told from rulesets that the real tools made."""

import subprocess

import pytest

from collectors.firewall.makers import of_chain, of_table


def test_ufw_is_known_and_seen_in_both_families(netns, looks, tmp_path) -> None:
    script = f"""
        set -e
        for folder in /etc/ufw /lib/ufw /etc/default; do
            mkdir -p {tmp_path}$folder; cp -a $folder/. {tmp_path}$folder/; mount --bind {tmp_path}$folder $folder
        done
        ufw allow 22/tcp; ufw limit 2222/tcp; ufw --force enable
    """
    inside = ("nsenter", f"--net=/run/netns/{netns.name}", "unshare", "--mount", "sh", "-c", script)
    subprocess.run(inside, check=True, capture_output=True, timeout=60)
    assert looks.again().blind == ()
    assert looks.summary.makers == ("ufw",)
    assert (looks.summary.filtering4, looks.summary.filtering6) == ("closed", "closed")
    assert any("--dport 2222" in rule and "recent" in rule for rule in looks.rules())


def test_firewalld_is_known_and_refuses_without_a_policy(netns, looks, fixtures) -> None:
    netns.nft((fixtures / "firewalld.nft").read_text())
    assert looks.again().blind == ()
    assert looks.summary.makers == ("firewalld",)
    assert looks.summary.policy4 == "accept"
    assert (looks.summary.filtering4, looks.summary.filtering6) == ("closed", "closed")


@pytest.mark.parametrize(
    ("chain", "maker"),
    [
        ("ufw6-before-input", "ufw"),
        ("DOCKER-USER", "docker"),
        ("f2b-sshd", "fail2ban"),
        ("KUBE-SERVICES", "kubernetes"),
        ("INPUT", ""),
    ],
)
def test_chains_by_name(chain: str, maker: str) -> None:
    assert of_chain(chain, "") == maker


@pytest.mark.parametrize(
    ("table", "maker"),
    [("holdfast", "holdfast"), ("f2b-table", "fail2ban"), ("firewalld", "firewalld"), ("filter", "")],
)
def test_tables_by_name(table: str, maker: str) -> None:
    assert of_table(table) == maker
