"""Settings of the detectors: limits that stay quiet on normal traffic. Each is documented where it is declared."""

from ipaddress import ip_network
from typing import Annotated

from msgspec import Meta

from contracts.options import Duration
from contracts.record import Record

_On = Annotated[bool, Meta(description="Whether this detector looks.")]
_Count = Annotated[int, Meta(ge=1)]
_Share = Annotated[float, Meta(gt=0, le=1)]

HOME = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
)


class ScanOptions(Record):
    """Scans of ports and of hosts."""

    enabled: _On = True
    ports: Annotated[_Count, Meta(description="Different ports of one host tried without result.")] = 20
    hosts: Annotated[_Count, Meta(description="Different hosts tried without result on one port.")] = 25
    window: Annotated[Duration, Meta(description="Time in which that many.")] = 60.0
    slow_ports: Annotated[
        _Count, Meta(description="The same over the long window, for scans that take their time.")
    ] = 60
    slow_hosts: Annotated[_Count, Meta(description="Hosts over the long window.")] = 120
    slow_window: Annotated[Duration, Meta(description="The long window.")] = 3600.0
    share: Annotated[_Share, Meta(description="Share of what was tried that must have led to nothing.")] = 0.6
    answer: Annotated[Duration, Meta(description="How long an answer may take before a try counts as unanswered.")] = (
        1.5
    )
    proven: Annotated[
        _Count,
        Meta(
            description="Ports or hosts that the sender must have connected to, saying nothing, before its address counts as proven."
        ),
    ] = 3


class FloodOptions(Record):
    """Floods of a service or host by packets that lead to nothing."""

    enabled: _On = True
    window: Annotated[Duration, Meta(description="Time in which that many.")] = 10.0
    half_open: Annotated[
        _Count, Meta(description="TCP connections to one service begun and neither completed nor refused.")
    ] = 1000
    stray: Annotated[
        _Count, Meta(description="TCP packets to one host that belong to no connection, or are refused.")
    ] = 3000
    udp: Annotated[_Count, Meta(description="UDP packets to one host that nothing answers.")] = 5000
    icmp: Annotated[_Count, Meta(description="ICMP packets to one host.")] = 2000
    one_way_ports: Annotated[
        tuple[int, ...], Meta(description="UDP ports that never answer in normal use: logs, metrics, flow records.")
    ] = (514, 1514, 2055, 4739, 5140, 5514, 6343, 6831, 8125, 8126, 9995, 9996, 12201, 25826)


class RateOptions(Record):
    """Requests and connections of one client."""

    enabled: _On = True
    window: Annotated[Duration, Meta(description="Time in which that many.")] = 10.0
    requests: Annotated[_Count, Meta(description="HTTP requests of one client to one service.")] = 3000
    connections: Annotated[_Count, Meta(description="Completed connections of one client to one service.")] = 2000


class HeldOptions(Record):
    """Connections that a client keeps open without letting the server finish."""

    enabled: _On = True
    connections: Annotated[_Count, Meta(description="Such connections of one client to one service at once.")] = 60
    after: Annotated[Duration, Meta(description="How long a connection must have been like that to count.")] = 8.0


class LoginOptions(Record):
    """Guessed logins."""

    enabled: _On = True
    window: Annotated[Duration, Meta(description="Time in which that many.")] = 60.0
    failures: Annotated[
        _Count, Meta(description="Failed logins that the server said so of, by one client at one service.")
    ] = 10
    connections: Annotated[
        _Count,
        Meta(
            description="Tries that look like failed logins where the server's word is encrypted: SSH, RDP; eight times that for TLS."
        ),
    ] = 8
    slow_failures: Annotated[
        _Count, Meta(description="Failures, or such tries, over the long window, for guessing that takes its time.")
    ] = 90
    slow_window: Annotated[Duration, Meta(description="The long window.")] = 3600.0
    encrypted_bytes: Annotated[
        _Count,
        Meta(
            description="An SSH connection whose server said at most so many bytes after the key exchange never got a session."
        ),
    ] = 1100
    spray: Annotated[_Count, Meta(description="Failed logins at one service from all clients together.")] = 200
    spray_clients: Annotated[_Count, Meta(description="From at least so many clients.")] = 10
    spray_window: Annotated[Duration, Meta(description="Time in which that many.")] = 600.0


class ArpOptions(Record):
    """Claims of addresses on the local network."""

    enabled: _On = True
    window: Annotated[Duration, Meta(description="Time in which that many.")] = 60.0
    unasked: Annotated[
        _Count, Meta(description="Answers that nobody asked for, claiming an address that is another card's.")
    ] = 3
    changes: Annotated[_Count, Meta(description="Times that an address went from one card to the other and back.")] = 4


class DnsOptions(Record):
    """Tunnels through DNS, and generated names."""

    enabled: _On = True
    window: Annotated[Duration, Meta(description="Time in which that many, for tunnels.")] = 60.0
    names: Annotated[_Count, Meta(description="Different names of one domain.")] = 30
    carried: Annotated[_Count, Meta(description="Bytes in front of the domain, in different names together.")] = 1500
    length: Annotated[_Count, Meta(description="Bytes in front of the domain, on average.")] = 24
    lookups: Annotated[
        tuple[str, ...],
        Meta(
            description="Registered domains whose long names are questions, not data: blocklists, clouds' names of hosts."
        ),
    ] = (
        *(
            "spamhaus.org",
            "spamhaus.net",
            "surbl.org",
            "uribl.com",
            "msbl.org",
            "spamcop.net",
            "dnswl.org",
            "abuseat.org",
        ),
        *("barracudacentral.org", "senderscore.com", "mailspike.net", "invaluement.com", "rspamd.com", "sorbs.net"),
        *("sophosxl.net", "mcafee.com", "trendmicro.com", "cymru.com", "amazonaws.com", "cluster.local"),
    )
    missing: Annotated[_Count, Meta(description="Different domains that do not exist and look generated.")] = 20
    missing_window: Annotated[Duration, Meta(description="Time in which that many.")] = 300.0
    missing_share: Annotated[_Share, Meta(description="Share of the missing domains that must look generated.")] = 0.6


class BeaconOptions(Record):
    """Regular calls."""

    enabled: _On = True
    calls: Annotated[_Count, Meta(description="Calls in a row at regular intervals.")] = 16
    spread: Annotated[
        _Share,
        Meta(description="Standard deviation of the intervals, as a share of their mean, that still is regular."),
    ] = 0.2
    shortest: Annotated[Duration, Meta(description="Shorter intervals are one call.")] = 4.0
    longest: Annotated[Duration, Meta(description="Longer intervals begin anew.")] = 7200.0
    ignored_ports: Annotated[
        tuple[int, ...], Meta(description="Ports of the peer that are called regularly anyway.")
    ] = (53, 67, 123, 547, 853)


class VolumeOptions(Record):
    """Data that leaves for one peer."""

    enabled: _On = True
    window: Annotated[Duration, Meta(description="Time in which that much.")] = 3600.0
    sent: Annotated[_Count, Meta(description="Bytes that this network sent to one peer that it called.")] = (
        1_000_000_000
    )
    served: Annotated[_Count, Meta(description="Bytes that one client fetched.")] = 20_000_000_000
    usual: Annotated[float, Meta(description="How many times the peer's usual volume it must be.", ge=1)] = 4.0


class AmplificationOptions(Record):
    """Answers that are many times the question, to senders that may be forged."""

    enabled: _On = True
    window: Annotated[Duration, Meta(description="Time in which that much.")] = 60.0
    answered: Annotated[_Count, Meta(description="Bytes answered to one address.")] = 1_000_000
    ratio: Annotated[float, Meta(description="Bytes answered for each byte asked.", gt=1)] = 8.0
    ports: Annotated[tuple[int, ...], Meta(description="UDP ports of services that amplify.")] = (
        *(
            7,
            13,
            17,
            19,
            53,
            69,
            111,
            123,
            137,
            161,
            389,
            427,
            520,
            1434,
            1900,
            3283,
            3478,
            3702,
            5353,
            5683,
            10001,
            11211,
        ),
        *(27015, 27960, 32414, 37810),
    )


class CredentialOptions(Record):
    """Logins that went unencrypted."""

    enabled: _On = True
    again: Annotated[
        Duration, Meta(description="The same client at the same service is named again after this time.")
    ] = 3600.0


class LoadOptions(Record):
    """Clients that cause much of a service's load."""

    enabled: _On = True
    window: Annotated[Duration, Meta(description="Over which load is counted.")] = 60.0
    share: Annotated[
        _Share, Meta(description="Share of the service's bytes, connections or requests that is significant.")
    ] = 0.5
    bytes: Annotated[
        _Count, Meta(description="Services with fewer bytes in the window are not looked at for bytes.")
    ] = 100_000_000
    requests: Annotated[_Count, Meta(description="Nor with fewer connections and requests for these.")] = 3000
    clients: Annotated[_Count, Meta(description="Nor with fewer clients: one of two has half of it anyway.")] = 4


class WebOptions(Record):
    """Requests that probe a web server."""

    enabled: _On = True
    window: Annotated[Duration, Meta(description="Time in which that many.")] = 60.0
    errors: Annotated[_Count, Meta(description="Requests of one client that the server refused or did not find.")] = 60
    share: Annotated[_Share, Meta(description="Share of the client's requests that these must be.")] = 0.6
    attacks: Annotated[_Count, Meta(description="Requests of one client that carry text of attacks.")] = 3


class DetectorOptions(Record):
    """Settings of all detectors."""

    home: Annotated[
        tuple[str, ...],
        Meta(description="Networks that are ours: who calls out, and whose data leaves, is told by these."),
    ] = HOME
    proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Load balancers and proxies (addresses, networks) that stand before services here: what they pass on is told,"
            " and never held against them. Those in `home` that send X-Forwarded-For, Forwarded or X-Real-IP are known without it."
        ),
    ] = ()
    again: Annotated[Duration, Meta(description="The same finding is told again after this time, if it goes on.")] = (
        300.0
    )
    scans: ScanOptions = ScanOptions()
    floods: FloodOptions = FloodOptions()
    rates: RateOptions = RateOptions()
    held: HeldOptions = HeldOptions()
    logins: LoginOptions = LoginOptions()
    arp: ArpOptions = ArpOptions()
    dns: DnsOptions = DnsOptions()
    beacons: BeaconOptions = BeaconOptions()
    volume: VolumeOptions = VolumeOptions()
    amplification: AmplificationOptions = AmplificationOptions()
    credentials: CredentialOptions = CredentialOptions()
    load: LoadOptions = LoadOptions()
    web: WebOptions = WebOptions()

    def __post_init__(self) -> None:
        for name, networks in (("home", self.home), ("proxies", self.proxies)):
            for text in networks:
                try:
                    ip_network(text, strict=False)
                except ValueError as error:
                    raise ValueError(
                        f"{name}: {error}; write an address or a network, as 10.0.0.0/8 or 2001:db8::/32"
                    ) from None
