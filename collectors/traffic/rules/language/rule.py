"""What a rule says, as plain values: the header, who it is for, and every test in the order that keeps its meaning.

All of it is imported from here. Everything is a `msgspec.Struct`, those of a union with a tag, so that parsed rules travel and are kept
as they are. Names are Suricata's; old names (`http_uri`, `dns_query`, `file_data` …) have become the new ones (`http.uri`, `dns.query`,
`file.data`). The parser builds the values, everybody else reads them; nothing here knows an engine.
"""

from msgspec import Struct, field

from collectors.traffic.rules.language.beside import (
    AppProtocol,
    DceIface,
    DceOpnum,
    EventTest,
    FieldTest,
    FlagsTest,
    FlowBits,
    FlowInt,
    IpProto,
    IpRep,
    Modbus,
    State,
    StreamSize,
    Test,
    WordTest,
    XBits,
)
from collectors.traffic.rules.language.matches import (
    Absent,
    Asn1,
    Base64Decode,
    Bsize,
    ByteExtract,
    ByteJump,
    ByteMath,
    ByteTest,
    Content,
    Datarep,
    Dataset,
    Entropy,
    IsDataAt,
    Match,
    Pcre,
    Urilen,
)
from collectors.traffic.rules.language.values import (
    Addresses,
    Number,
    Ports,
    Ranges,
    Where,
)

__all__ = [
    "Absent",
    "Addresses",
    "AppProtocol",
    "Asn1",
    "Base64Decode",
    "Bsize",
    "BufferTest",
    "ByteExtract",
    "ByteJump",
    "ByteMath",
    "ByteTest",
    "Content",
    "Datarep",
    "Dataset",
    "DceIface",
    "DceOpnum",
    "Entropy",
    "EventTest",
    "FieldTest",
    "FlagsTest",
    "Flow",
    "FlowBits",
    "FlowInt",
    "IpProto",
    "IpRep",
    "IsDataAt",
    "Match",
    "Modbus",
    "Number",
    "Pcre",
    "Ports",
    "Ranges",
    "Rule",
    "State",
    "StreamSize",
    "Tag",
    "Test",
    "Threshold",
    "Transform",
    "Urilen",
    "Where",
    "WordTest",
    "XBits",
]


class Transform(Struct, frozen=True, array_like=True, gc=False):
    """What is done to a buffer before it is tested: Suricata's name, and its argument or ""."""

    name: str
    argument: str = ""


class BufferTest(Struct, array_like=True):
    """All tests of one buffer, to be held at once. A buffer with several values (`dns.query` …) is tested value by value.

    `buffer` is the sticky buffer's name; `payload` is the packet's or the stream's own bytes. `direction` (`to_server`, `to_client`,
    `both`) is the side whose buffer is meant. A rule may test the same buffer more than once: each stands by itself.
    """

    buffer: str
    direction: str = "both"
    transforms: tuple[Transform, ...] = ()
    matches: list[Match] = field(default_factory=list)


class Flow(Struct, array_like=True):
    """The `flow` keyword: what the packet's flow must be. Empty means that it does not matter."""

    state: str = ""
    """established, not_established or stateless."""
    direction: str = ""
    """to_server or to_client."""
    stream: str = ""
    """only_stream or no_stream."""
    fragment: str = ""
    """only_frag or no_frag."""


class Threshold(Struct, array_like=True):
    """How often a rule may speak. `type`: limit, threshold, both, backoff, detection_filter; `track`: by_src, by_dst, by_both …"""

    type: str
    track: str
    count: int
    seconds: int
    multiplier: int = 0


class Tag(Struct, array_like=True):
    """`tag`: keep what follows. `scope`: session or host; `metric`: packets, seconds, bytes; `side` of a host: src or dst."""

    scope: str
    count: int
    metric: str
    side: str = ""


class Rule(Struct, array_like=True):
    """One rule. Buffers, tests and state hold all at once; state that changes something does so after everything else has matched.

    `protocol` is Suricata's word (`tcp-pkt`, `http` …); `hook` what stands behind it (`tcp:flow_start`). `direction`: `->`, `<>` or `=>`
    (both sides of one transaction). `payload` is the test of packet or stream; `buffers` those of transactions and headers, in their
    order; `base64` is for what `base64_decode` made.
    """

    action: str
    protocol: str
    hook: str
    source: Addresses
    source_ports: Ports
    direction: str
    destination: Addresses
    destination_ports: Ports
    sid: int = 0
    gid: int = 1
    rev: int = 0
    msg: str = ""
    classtype: str = ""
    category: str = ""
    priority: int = 3
    own_priority: bool = False
    references: tuple[tuple[str, str], ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    target: str = ""
    app_protocol: str = ""
    """The application protocol that header or keywords imply, "" for none."""
    flow: Flow | None = None
    payload: BufferTest | None = None
    buffers: list[BufferTest] = field(default_factory=list)
    base64: BufferTest | None = None
    tests: list[Test] = field(default_factory=list)
    state: list[State] = field(default_factory=list)
    threshold: Threshold | None = None
    detection_filter: Threshold | None = None
    tag: Tag | None = None
    noalert: bool = False
    prefilter: str = ""
    bypass: bool = False
    filestore: tuple[str, ...] | None = None
    config: tuple[tuple[str, str], ...] = ()
    file: str = ""
    line: int = 0
