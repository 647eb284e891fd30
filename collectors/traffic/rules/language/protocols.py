"""The protocol words of a rule's header, and what each says about packets, streams and transactions."""

PACKET = frozenset(
    {"ip", "tcp", "udp", "icmp", "icmpv4", "icmpv6", "sctp", "igmp", "esp", "gre", "ipv4", "ip4", "ipv6", "ip6"}
)
PACKET_ONLY = frozenset({"tcp-pkt", "tcp-stream", "pkthdr", "ether", "arp"})

APPLICATION: dict[str, str] = {
    "http": "tcp",
    "http1": "tcp",
    "http2": "tcp",
    "doh2": "tcp",
    "dns": "both",
    "mdns": "udp",
    "llmnr": "udp",
    "tls": "tcp",
    "ssl": "tcp",
    "ssh": "tcp",
    "smtp": "tcp",
    "imap": "tcp",
    "pop3": "tcp",
    "ftp": "tcp",
    "ftp-data": "tcp",
    "smb": "tcp",
    "dcerpc": "both",
    "nfs": "both",
    "tftp": "udp",
    "krb5": "both",
    "ntp": "udp",
    "dhcp": "udp",
    "snmp": "udp",
    "sip": "both",
    "rfb": "tcp",
    "mqtt": "tcp",
    "pgsql": "tcp",
    "telnet": "tcp",
    "websocket": "tcp",
    "ldap": "both",
    "rdp": "tcp",
    "irc": "tcp",
    "ike": "udp",
    "ikev2": "udp",
    "quic": "udp",
    "modbus": "tcp",
    "dnp3": "tcp",
    "enip": "both",
    "bittorrent-dht": "udp",
    "template": "tcp",
}
"""Application protocols that a header may name, and the transport that carries them."""

KNOWN = PACKET | PACKET_ONLY | set(APPLICATION)

ALIASES = {"ssl": "tls", "ikev2": "ike", "icmpv4": "icmp", "ip4": "ipv4", "ip6": "ipv6"}

HTTP = frozenset({"http", "http1", "http2", "doh2"})
DNS = frozenset({"dns", "doh2", "mdns", "llmnr"})

TRANSPORT_HOOKS = frozenset({"flow_start", "pre_flow", "pre_stream", "all"})

HOOKS: dict[str, frozenset[str]] = {
    "http1": frozenset(
        f"{side}_{state}"
        for side, states in (
            ("request", ("started", "line", "headers", "body", "trailer", "complete")),
            ("response", ("started", "line", "headers", "body", "trailer", "complete")),
        )
        for state in states
    ),
    "tls": frozenset(
        {
            "client_in_progress",
            "client_hello_done",
            "client_cert_done",
            "client_handshake_done",
            "client_finished",
            "server_in_progress",
            "server_hello",
            "server_cert_done",
            "server_hello_done",
            "server_handshake_done",
            "server_finished",
        }
    ),
    "ssh": frozenset(
        {
            "request_in_progress",
            "request_banner_wait_eol",
            "request_banner_done",
            "request_finished",
            "response_in_progress",
            "response_banner_wait_eol",
            "response_banner_done",
            "response_finished",
        }
    ),
}
"""States of a transaction that a header may name behind its protocol; every protocol has those of `ANY_HOOKS`."""

ANY_HOOKS = frozenset({"request_started", "request_complete", "response_started", "response_complete"})


def compatible(header: str, keyword: str) -> str | None:
    """Return the protocol of a rule for `header` ("": none yet) with a keyword of protocol `keyword`; None when they exclude each other."""
    if not header or header == keyword:
        return keyword
    for family in (HTTP, DNS):
        if header in family and keyword in family:
            return header if keyword in {"http", "dns"} else keyword if header in {"http", "dns"} else None
    if {header, keyword} <= {"smb", "dcerpc"}:
        return header
    return None
