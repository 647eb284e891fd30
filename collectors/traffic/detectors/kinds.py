"""The kinds of event that detectors lead to. All have the same fields, so that one rule can answer any of them."""

from collections.abc import Mapping

from contracts.event import FieldType, Kind, Severity

FIELDS: Mapping[str, FieldType] = {
    "subject": "str",
    "source": "str",
    "sources": "list",
    "offender": "str",
    "proven": "bool",
    "blocking": "bool",
    "forgeable": "bool",
    "method": "str",
    "explanation": "str",
    "reason": "str",
    "numbers": "list",
    "limits": "list",
    "window_s": "float",
    "interface": "str",
    "protocol": "str",
    "port": "int",
    "local": "str",
    "began_ms": "int",
}
"""`source` is the sender as its packets say; `offender` is the same where a completed handshake proves it, else empty: nothing bans
by an address that anyone can write into a packet. The sensor's standing rule reads `offender`, `proven`, `blocking` and `reason`."""

_LOOK = "Look at the sender's other events and at the service's own log."


def _kind(
    name: str, meaning: str, title: str, severity: Severity, attack: tuple[str, ...], advice: str = _LOOK
) -> Kind:
    return Kind(
        name=f"traffic.{name}",
        meaning=meaning,
        title=title,
        severity=severity,
        fields=FIELDS,
        attack=attack,
        advice=advice,
    )


PORT_SCAN = _kind(
    "ports_scanned",
    "One sender tried many ports of one host and got nothing out of nearly all of them.",
    "Port scan ({method}) of {subject} by {source}: {explanation}",
    Severity.MEDIUM,
    ("T1046",),
)
HOST_SCAN = _kind(
    "hosts_scanned",
    "One sender tried one port of many hosts and got nothing out of nearly all of them.",
    "Scan ({method}) of {subject} on many hosts by {source}: {explanation}",
    Severity.MEDIUM,
    ("T1046", "T1595.001"),
)
FLOOD = _kind(
    "service_flooded",
    "A service or host gets so many packets that lead to nothing that they can only be meant to wear it out.",
    "{method} flood of {subject}: {explanation}",
    Severity.HIGH,
    ("T1498.001", "T1499.001"),
    "Limit new connections to the service, or ask the network's operator to filter upstream; senders may be forged.",
)
REQUEST_FLOOD = _kind(
    "requests_flooded",
    "One client makes requests or connections at a rate that no person and few programs do.",
    "{source} floods {subject} ({method}): {explanation}",
    Severity.MEDIUM,
    ("T1499.002",),
)
CONNECTIONS_HELD = _kind(
    "connections_held",
    "One client keeps many connections open without letting the server finish, as slow attacks on web servers do.",
    "{source} holds connections to {subject} ({method}): {explanation}",
    Severity.HIGH,
    ("T1499.002",),
    "Shorten the server's timeouts for headers and bodies, and limit connections per client.",
)
BRUTE_FORCE = _kind(
    "logins_guessed",
    "One client failed to log in so often that it must be guessing.",
    "{source} guesses logins at {subject} ({method}): {explanation}",
    Severity.HIGH,
    ("T1110", "T1110.001"),
    "Ban the client, look whether any attempt succeeded, and allow keys instead of passwords.",
)
SPRAYED = _kind(
    "logins_sprayed",
    "Many clients together failed to log in at one service, each of them too seldom to stand out.",
    "Logins guessed at {subject} from many addresses ({method}): {explanation}",
    Severity.MEDIUM,
    ("T1110", "T1110.003"),
)
LOGIN_GUESSED = _kind(
    "login_succeeded_after_guessing",
    "A client that failed to log in many times has now succeeded.",
    "{source} got into {subject} ({method}) after guessing: {explanation}",
    Severity.CRITICAL,
    ("T1110", "T1078"),
    "Assume that the account is known to the client: end its sessions, change the password, look what was done.",
)
ARP_SPOOFED = _kind(
    "arp_spoofed",
    "A network card claims an address of the local network that belongs to another one.",
    "{source} claims {subject}, which is another card's: {explanation}",
    Severity.HIGH,
    ("T1557.002",),
    "Find the card at the switch; pin the gateway's entry (`ip neigh replace … nud permanent`) until then.",
)
ADDRESS_MOVED = _kind(
    "arp_address_moved",
    "An address of the local network is now claimed by another network card than before.",
    "{subject} moved to {source}: {explanation}",
    Severity.INFORMATIONAL,
    ("T1557.002",),
    "Normal for a failover or a new machine.",
)
DNS_TUNNEL = _kind(
    "dns_tunnelled",
    "A client asks for names of one domain that look like carried data.",
    "{source} tunnels through names under {subject}: {explanation}",
    Severity.HIGH,
    ("T1071.004", "T1572", "T1048"),
    "Block the domain at the resolver and look which process asks.",
)
DGA = _kind(
    "dns_names_generated",
    "A client asks for many domains that do not exist and look made up by a program.",
    "{source} looks for generated names (like {method}): {explanation}",
    Severity.HIGH,
    ("T1568.002",),
    "Look which process asks: malware seeks its controller like this.",
)
BEACON = _kind(
    "beacon_seen",
    "A host calls the same peer at regular intervals, as implants and honest monitoring do.",
    "{source} calls {subject} regularly: {explanation}",
    Severity.LOW,
    ("T1071", "T1029"),
    "Look which process calls; allow the peer if it is known.",
)
OUTBOUND_VOLUME = _kind(
    "outbound_volume_unusual",
    "Much more data than usual left this host for one peer.",
    "Much data from {local} to {subject}: {explanation}",
    Severity.LOW,
    ("T1048", "T1567"),
    "Look which process sends; a backup or a mirror is normal.",
)
AMPLIFICATION = _kind(
    "amplification_abused",
    "A service answers a likely forged sender with many times what it was asked: it is used to flood that sender.",
    "{subject} amplifies towards {source} ({method}): {explanation}",
    Severity.HIGH,
    ("T1498.002",),
    "Close the service to the internet or limit its answers (response rate limiting).",
)
PLAINTEXT = _kind(
    "credentials_in_plaintext",
    "A login went over the network unencrypted.",
    "{source} logged in at {subject} without encryption ({method})",
    Severity.MEDIUM,
    ("T1040", "T1552"),
    "Offer the service over TLS only, and change the credentials that were sent.",
)
LOAD_SHARE = _kind(
    "client_dominates",
    "One client causes a significant share of a service's load.",
    "{source} causes a large share of the load of {subject}: {explanation}",
    Severity.LOW,
    ("T1499.002",),
)
WEB_PROBED = _kind(
    "web_probed",
    "A client's requests to a web server mostly fail, or carry text that attacks are made of.",
    "{source} probes {subject} ({method}): {explanation}",
    Severity.MEDIUM,
    ("T1595.002", "T1190"),
)
KINDS: tuple[Kind, ...] = (
    PORT_SCAN,
    HOST_SCAN,
    FLOOD,
    REQUEST_FLOOD,
    CONNECTIONS_HELD,
    BRUTE_FORCE,
    SPRAYED,
    LOGIN_GUESSED,
    ARP_SPOOFED,
    ADDRESS_MOVED,
    DNS_TUNNEL,
    DGA,
    BEACON,
    OUTBOUND_VOLUME,
    AMPLIFICATION,
    PLAINTEXT,
    LOAD_SHARE,
    WEB_PROBED,
)
"""All of them, for the watcher that emits."""

BLAMED = frozenset(
    kind.name
    for kind in (
        PORT_SCAN,
        HOST_SCAN,
        REQUEST_FLOOD,
        CONNECTIONS_HELD,
        BRUTE_FORCE,
        LOGIN_GUESSED,
        WEB_PROBED,
    )
)
"""Those whose sender did it to us and may be banned where its address is proven. The senders of the others are victims, users or ours."""
OF_RATES = frozenset(kind.name for kind in (REQUEST_FLOOD, CONNECTIONS_HELD))
"""Those that say only how much one sender asks: of a proxy, which asks for many, that says little."""
OF_REQUESTS = OF_RATES | {kind.name for kind in (BRUTE_FORCE, LOGIN_GUESSED, WEB_PROBED)}
"""Those of what a sender asks of a service, which it may have passed on."""
