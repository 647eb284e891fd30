"""Only command lines that read are let through, whatever the tool is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.allowed import allows


@pytest.mark.parametrize(
    "line",
    [
        "nft -s -t -y list ruleset",
        "nft -j list chains",
        "nft -j list set inet filter banned",
        "nft --version",
        "iptables-save",
        "ip6tables-save -c -t nat",
        "iptables-nft-save",
        "ip6tables-legacy-save",
        "iptables --version",
        "ufw status",
        "ufw status verbose",
        "firewall-cmd --state",
        "firewall-cmd --permanent --list-all-zones",
        "firewall-cmd --zone=public --list-all",
        "firewall-cmd --direct --get-all-rules",
        "dpkg-query -S /usr/bin/ls",
        "ip -j addr",
        "ip -j link show dev eth0",
        "ip netns list",
        "ip xfrm policy",
        "ip xfrm policy getdefault",
        "ip -j -d addr",
        "ip -j -4 route show table all",
        "ip -j -6 rule",
        "nft -j -s -t list ruleset",
        "nft -j -s list set inet t s",
        "tc -j qdisc show",
        "tc -j filter show dev eth0 ingress",
        "tc -j filter show dev eth0",
        "ipset list -t",
        "ipset save bad",
        "ss -tulpnH",
        "systemctl show ssh.service --property=ActiveState",
        "rpm -qf --qf %{NAME}\\n /usr/bin/ls",
    ],
)
def test_what_reads_is_let_through(line: str) -> None:
    tool, *arguments = line.split(" ")
    assert allows(tool, arguments)


@pytest.mark.parametrize(
    "line",
    [
        "nft flush ruleset",
        "nft -f /tmp/rules",
        "nft list ruleset ; flush ruleset",
        "nft -i",
        "nft",
        "nft list ruleset -f /tmp/x",
        "iptables-save -f /etc/passwd",
        "iptables-save -M /tmp/modprobe",
        "iptables-restore",
        "iptables -F",
        "ufw disable",
        "ufw --force reset",
        "firewall-cmd --reload",
        "firewall-cmd --permanent --add-port=1/tcp",
        "firewall-cmd --panic-on",
        "dpkg-query",
        "dpkg -i x.deb",
        "ip link set lo down",
        "ip xfrm policy flush",
        "ip xfrm policy setdefault in block",
        "ip xfrm state",
        "ip netns exec x sh",
        "ip -b /tmp/batch",
        "ip -j route add default dev x",
        "tc -b /tmp/batch",
        "tc -j qdisc del dev eth0 root",
        "tc -j qdisc show dev eth0",
        "tc -j filter show dev -b ingress",
        "tc -j filter del dev eth0 ingress",
        "tc filter show dev eth0",
        "ipset save",
        "ipset save -file",
        "ipset save x -file",
        "ipset destroy",
        "ipset -",
        "ipset flush bad",
        "ip -n other addr",
        "ss -K",
        "ss -tuKn",
        "ss -D /tmp/x",
        "systemctl stop ssh",
        "systemctl --root=/tmp show x",
        "rpm -e bash",
        "rpm -qf --qf %(id) /usr/bin/ls",
        "rpm -qf --qf %{NAME} --pipe id",
        "sh -c id",
        "/usr/sbin/nft list ruleset",
    ],
)
def test_what_changes_is_not(line: str) -> None:
    tool, *arguments = line.split(" ")
    assert not allows(tool, arguments)


def test_a_second_command_hidden_in_one_word_is_not() -> None:
    assert not allows("nft", ["list", "ruleset;flush ruleset"])
    assert not allows("nft", ["list", "ruleset\nflush ruleset"])
    assert not allows("nft", ["list", "ruleset\0"])


@given(st.lists(st.text(max_size=8), max_size=4))
def test_nft_is_never_given_the_end_of_a_command(words: list[str]) -> None:
    if allows("nft", words):
        assert not any(set(word) & set(";\n{}#\"'\\") for word in words)


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("gpgv --status-fd 2 --keyring /k.gpg --output - /lists/InRelease", True),
        ("gpgv --status-fd 2 --keyring /k.gpg --keyring /l.gpg /lists/Release.gpg /lists/Release", True),
        ("gpgv --status-fd 2 --keyring /k.gpg --output /etc/passwd /lists/InRelease", False),
        ("gpgv --status-fd 2 --homedir /tmp --output - /lists/InRelease", False),
        ("gpgv --status-fd 2 --keyring k.gpg --output - /lists/InRelease", False),
        ("gpgv --keyring /k.gpg --output - /lists/InRelease", False),
        ("apt-helper cat-file /var/lib/apt/lists/x.lz4", True),
        ("apt-helper download-file http://192.0.2.1/x /tmp/x", False),
        ("apt-helper cat-file -oDir::Bin::lz4=/tmp/x", False),
        ("apt-helper cat-file /a /b", False),
    ],
)
def test_a_signature_is_verified_and_a_list_unpacked_and_nothing_else(line: str, allowed: bool) -> None:
    tool, *arguments = line.split(" ")
    assert allows(tool, arguments) is allowed
