"""Reads values as nft, iproute2 and iptables write them into numbers: addresses, protocols, flags and the names of everything else."""

from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

PROTOCOLS = {
    "ip": 0, "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "udp": 17, "dccp": 33, "ipv6": 41, "gre": 47, "esp": 50, "ah": 51,
    "ipv6-icmp": 58, "icmpv6": 58, "ospf": 89, "pim": 103, "comp": 108, "vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": 136,
    "mptcp": 262,
}  # fmt: skip
ETHERTYPES = {
    "ip": 0x0800, "arp": 0x0806, "ip6": 0x86DD, "vlan": 0x8100, "8021q": 0x8100, "8021ad": 0x88A8, "ether": 0x0001, "ipv4": 0x0800,
    "ipv6": 0x86DD,
}  # fmt: skip
STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}
STATUS = {
    "expected": 1, "seen-reply": 2, "assured": 4, "confirmed": 8, "snat": 16, "dnat": 32, "seq-adjust": 64, "snat-done": 128,
    "dnat-done": 256, "dying": 512, "fixed-timeout": 1024, "template": 2048, "helper": 8192, "offload": 16384,
}  # fmt: skip
TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "ece": 64, "cwr": 128}
PACKET_TYPES = {"host": 0, "unicast": 0, "broadcast": 1, "multicast": 2, "other": 3, "otherhost": 3}
ROUTE_TYPES = {
    "unspec": 0, "unicast": 1, "local": 2, "broadcast": 3, "anycast": 4, "multicast": 5, "blackhole": 6, "unreachable": 7, "prohibit": 8,
    "throw": 9, "nat": 10,
}  # fmt: skip
DSCP = {
    "cs0": 0, "cs1": 8, "cs2": 16, "cs3": 24, "cs4": 32, "cs5": 40, "cs6": 48, "cs7": 56, "df": 0, "be": 0, "lephb": 1, "va": 44, "ef": 46,
    "af11": 10, "af12": 12, "af13": 14, "af21": 18, "af22": 20, "af23": 22, "af31": 26, "af32": 28, "af33": 30, "af41": 34, "af42": 36,
    "af43": 38,
}  # fmt: skip
LINK_TYPES = {
    "ether": 1, "ppp": 512, "ipip": 768, "ipip6": 769, "tunnel": 768, "tunnel6": 769, "loopback": 772, "sit": 776, "ipgre": 778, "gre": 778,
    "ip6gre": 823, "gre6": 823, "none": 65534,
}  # fmt: skip
ICMPV6_TYPES = {
    "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4, "echo-request": 128, "echo-reply": 129,
    "mld-listener-query": 130, "mld-listener-report": 131, "mld-listener-done": 132, "mld-listener-reduction": 132,
    "nd-router-solicit": 133, "nd-router-advert": 134, "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136, "nd-redirect": 137,
    "router-renumbering": 138, "ind-neighbor-solicit": 141, "ind-neighbor-advert": 142, "mld2-listener-report": 143,
}  # fmt: skip

NAMES: dict[str, dict[str, int]] = {
    "inet_proto": PROTOCOLS,
    "ether_type": ETHERTYPES,
    "ct_state": STATES,
    "ct_status": STATUS,
    "tcp_flag": TCP_FLAGS,
    "pkt_type": PACKET_TYPES,
    "fib_addrtype": ROUTE_TYPES,
    "dscp": DSCP,
    "ecn": {"not-ect": 0, "ect1": 1, "ect0": 2, "ce": 3},
    "iface_type": LINK_TYPES,
    "nf_proto": {"ipv4": 2, "ipv6": 10, "ip": 2, "ip6": 10},
    "ct_dir": {"original": 0, "reply": 1},
    "devgroup": {"default": 0},
    "boolean": {"exists": 1, "missing": 0},
    "icmpv6_type": ICMPV6_TYPES,
}
"""nftables' data type -> symbol -> number."""

STRINGS = frozenset({"ifname", "iface_index", "string", "osf_name", "cgroupsv2"})
"""Data types whose values stay text."""


@lru_cache(maxsize=8192)
def address(text: str) -> tuple[int, int] | None:
    """Return (family 4 or 6, number) of an address in text, or None if it is none."""
    try:
        if ":" in text:
            return 6, int(IPv6Address(text))
        return 4, _four(text)
    except (AddressValueError, ValueError):
        return None


def written(family: int, number: int) -> str:
    """Return the canonical text of an address."""
    return str(IPv4Address(number) if family == 4 else IPv6Address(number))


def network(number: int, length: int, bits: int) -> tuple[int, int]:
    """Return the first and last number of the network that `number` is in; raises `ValueError` for a length that cannot be."""
    if not 0 <= length <= bits:
        raise ValueError(f"a prefix of {length} bits")
    host = (1 << (bits - length)) - 1
    return number & ~host, number | host


def number(text: str) -> int | None:
    """Return the number in decimal, or hexadecimal after 0x; None if it is none."""
    try:
        return int(text, 16) if text[:2].lower() == "0x" else int(text)
    except ValueError:
        return None


def _four(text: str) -> int:
    first, second, third, fourth = text.split(".")  # too many or too few parts raise `ValueError` as well
    if not (text.isascii() and text.replace(".", "").isdigit()) or len(text) > 15:
        raise ValueError(text)
    numbers = int(first), int(second), int(third), int(fourth)
    if max(numbers) > 255 or max(len(first), len(second), len(third), len(fourth)) > 3:
        raise ValueError(text)
    return numbers[0] << 24 | numbers[1] << 16 | numbers[2] << 8 | numbers[3]
