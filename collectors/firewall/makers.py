"""Who made a table or chain, told by the names its maker gives."""

import re

BANNING = frozenset({"fail2ban", "holdfast bans", "crowdsec", "sshguard"})
"""Makers whose refusals are of single addresses and come and go."""

_TABLES = (
    (re.compile(r"holdfast_block"), "holdfast bans"),
    (re.compile(r"holdfast"), "holdfast"),
    (re.compile(r"firewalld(?:_policy_drop)?"), "firewalld"),
    (re.compile(r"f2b-.*"), "fail2ban"),
    (re.compile(r"docker-bridges"), "docker"),
    (re.compile(r"crowdsec6?"), "crowdsec"),
    (re.compile(r"sshguard"), "sshguard"),
    (re.compile(r"libvirt_network"), "libvirt"),
    (re.compile(r"kube-proxy"), "kubernetes"),
)
_CHAINS = (
    (re.compile(r"ufw6?-.*"), "ufw"),
    (re.compile(r"DOCKER(?:-.*)?"), "docker"),
    (re.compile(r"f2b-.*"), "fail2ban"),
    (re.compile(r"holdfast.*", re.IGNORECASE), "holdfast"),
    (re.compile(r"KUBE-.*"), "kubernetes"),
    (re.compile(r"cali-.*"), "calico"),
    (re.compile(r"LIBVIRT_.*"), "libvirt"),
    (re.compile(r"ts-(?:input|forward|postrouting)"), "tailscale"),
    (re.compile(r"CROWDSEC.*|crowdsec.*"), "crowdsec"),
    (re.compile(r"sshguard"), "sshguard"),
    (
        re.compile(
            r"(?:IN|FWDI|FWDO|FWD|PRE|POST)_\w+|(?:INPUT|FORWARD|OUTPUT|PREROUTING|POSTROUTING)_(?:direct|ZONES|POLICIES\w*)"
        ),
        "firewalld",
    ),
)


def of_table(name: str) -> str:
    """Return who made the table `name`, or ""."""
    return next((maker for pattern, maker in _TABLES if pattern.fullmatch(name)), "")


def of_chain(name: str, table_maker: str) -> str:
    """Return who made the chain `name` in a table made by `table_maker`, or ""."""
    return table_maker or next((maker for pattern, maker in _CHAINS if pattern.fullmatch(name)), "")
