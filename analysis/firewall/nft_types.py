"""Which of nftables' data types each field has, so that the symbols it is compared with (`ssh`, `established`) can be read."""

_META = {
    "iifname": "ifname", "oifname": "ifname", "iif": "iface_index", "oif": "iface_index", "sdif": "iface_index", "sdifname": "ifname",
    "ibrname": "ifname", "obrname": "ifname", "iifkind": "ifname", "oifkind": "ifname", "iifgroup": "devgroup", "oifgroup": "devgroup",
    "iiftype": "iface_type", "oiftype": "iface_type", "l4proto": "inet_proto", "nfproto": "nf_proto", "protocol": "ether_type",
    "pkttype": "pkt_type", "mark": "mark", "ipsec": "boolean",
}  # fmt: skip
_CT = {
    "state": "ct_state", "status": "ct_status", "direction": "ct_dir", "l3proto": "nf_proto", "protocol": "inet_proto", "helper": "string",
    "mark": "mark",
}  # fmt: skip
_PAYLOAD = {
    "ip saddr": "ipv4_addr", "ip daddr": "ipv4_addr", "ip6 saddr": "ipv6_addr", "ip6 daddr": "ipv6_addr", "ip protocol": "inet_proto",
    "ip6 nexthdr": "inet_proto", "ip dscp": "dscp", "ip6 dscp": "dscp", "ip ecn": "ecn", "ip6 ecn": "ecn", "tcp flags": "tcp_flag",
    "ether saddr": "ether_addr", "ether daddr": "ether_addr", "ether type": "ether_type", "vlan type": "ether_type",
    "icmpv6 type": "icmpv6_type",
}  # fmt: skip


def of_field(name: str) -> str:
    """Return the data type of the field `name`, `integer` for all that are mere numbers."""
    group, _, key = name.partition(" ")
    if group == "meta":
        return _META.get(key, "integer")
    if group == "ct":
        if key.endswith(("ip saddr", "ip daddr")):
            return "ipv4_addr"
        return "ipv6_addr" if key.endswith(("ip6 saddr", "ip6 daddr")) else _CT.get(key.split(" ")[-1], "integer")
    return _PAYLOAD.get(name, "integer")


def of_fib(result: str) -> str:
    """Return the data type of a route lookup's `result`."""
    return {"type": "fib_addrtype", "oif": "iface_index", "oifname": "ifname"}.get(result, "boolean")
