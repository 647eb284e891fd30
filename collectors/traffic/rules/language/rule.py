"""What a rule says, as plain values: the header, who it is for, and every test in the order that keeps its meaning.

Everything here is a `msgspec.Struct` with a tag, so that parsed rules travel and are kept as they are. Names are Suricata's; old names
(`http_uri`, `dns_query`, `file_data` …) have become the new ones (`http.uri`, `dns.query`, `file.data`). Nothing here knows an engine.
Values are built by the parser and read by everybody else.
"""

from msgspec import Struct, field

Ranges = tuple[tuple[int, int], ...]
"""Sorted, disjoint, both ends included."""

Where = int | str | None
"""A position: a number, the name of a variable (`byte_extract`, `byte_math`), or None when not given."""


class Addresses(Struct, frozen=True):
    """A set of addresses as ranges of integers, by IP version. `any` says that it is everything."""

    any: bool
    v4: Ranges = ()
    v6: Ranges = ()


class Ports(Struct, frozen=True):
    """A set of ports as ranges. `any` says that it is everything, packets without ports included."""

    any: bool
    ranges: Ranges = ()


class Number(Struct, frozen=True):
    """A comparison with an unsigned integer.

    `op`: `=` `!=` `<` `<=` `>` `>=`; `in`, `!in`: low < x < high; `&`: a bit of `low` is set, `!&`: none is; `&=`, `&!=`: x & low == high.
    """

    op: str
    low: int
    high: int = 0

    def holds(self, value: int) -> bool:
        """Return whether the comparison is true of `value`."""
        match self.op:
            case "=":
                return value == self.low
            case "<":
                return value < self.low
            case ">":
                return value > self.low
            case "!=":
                return value != self.low
            case "<=":
                return value <= self.low
            case ">=":
                return value >= self.low
            case "in":
                return self.low < value < self.high
            case "!in":
                return not self.low < value < self.high
        return _bits(self.op, value, self.low, self.high)


def _bits(op: str, value: int, mask: int, wanted: int) -> bool:
    if op in {"&", "!&"}:
        return (value & mask != 0) == (op == "&")
    return (value & mask == wanted) == (op == "&=")


# Tests of one buffer, in the order of the rule.


class Content(Struct, tag_field="is", tag="content"):
    """Bytes to be found. `offset`/`depth` count from the buffer's beginning, `distance`/`within` from the end of the match before.

    `startswith` has set `offset` 0 and `depth` to the pattern's length. `next_relative`: a later test of the buffer depends on where this
    one was found, so that another occurrence may do. `fast_pattern`: asked for by the rule; `chop` (offset, length): only that part of it.
    """

    pattern: bytes
    negated: bool = False
    nocase: bool = False
    offset: Where = None
    depth: Where = None
    distance: Where = None
    within: Where = None
    startswith: bool = False
    endswith: bool = False
    fast_pattern: bool = False
    only: bool = False
    chop: tuple[int, int] | None = None
    replace: bytes | None = None
    next_relative: bool = False

    @property
    def relative(self) -> bool:
        """Whether its place depends on the match before."""
        return self.distance is not None or self.within is not None


class Pcre(Struct, tag_field="is", tag="pcre"):
    """A Perl regular expression over bytes. `flags`: those of `imsxAEGO` that were given.

    `captures` names what the groups are kept as, in order: (`flow` or `pkt`, name); `alert:` prefixes stay in the name.
    """

    pattern: bytes
    flags: str = ""
    negated: bool = False
    relative: bool = False
    captures: tuple[tuple[str, str], ...] = ()
    next_relative: bool = False


class ByteTest(Struct, tag_field="is", tag="byte_test"):
    """A number read from the buffer and compared. `base` is 0 for binary, else that of the digits; `endian` is `big`, `little` or `dce`."""

    nbytes: int | str
    op: str
    value: int | str
    offset: int | str
    negated: bool = False
    relative: bool = False
    endian: str = "big"
    base: int = 0
    bitmask: int = 0


class ByteJump(Struct, tag_field="is", tag="byte_jump"):
    """Move on by a number read from the buffer. `origin`: where the jump starts, `` (behind the number), `beginning` or `end`."""

    nbytes: int | str
    offset: int | str
    relative: bool = False
    multiplier: int = 1
    endian: str = "big"
    base: int = 0
    align: bool = False
    origin: str = ""
    post_offset: int = 0
    bitmask: int = 0


class ByteExtract(Struct, tag_field="is", tag="byte_extract"):
    """A number read from the buffer into variable `name`."""

    nbytes: int
    offset: int
    name: str
    relative: bool = False
    multiplier: int = 1
    endian: str = "big"
    base: int = 0
    align: int = 0


class ByteMath(Struct, tag_field="is", tag="byte_math"):
    """A number read from the buffer, computed with (`op` one of `+ - * / << >>`), into variable `name`."""

    nbytes: int | str
    offset: int
    op: str
    rvalue: int | str
    name: str
    relative: bool = False
    endian: str = "big"
    base: int = 0
    bitmask: int = 0


class IsDataAt(Struct, tag_field="is", tag="isdataat"):
    """Whether the buffer goes on at a place."""

    at: int | str
    negated: bool = False
    relative: bool = False


class Bsize(Struct, tag_field="is", tag="bsize"):
    """The size of the whole buffer. An answer may have to wait until the buffer no longer grows."""

    number: Number


class Urilen(Struct, tag_field="is", tag="urilen"):
    """The size of the URI (16 bits, cut there); the buffer says whether it is the raw one."""

    number: Number


class Absent(Struct, tag_field="is", tag="absent"):
    """The buffer is not there. `or_else`: or what follows holds."""

    or_else: bool = False


class Base64Decode(Struct, tag_field="is", tag="base64_decode"):
    """Decode what is here (`bytes` 0: to the end); `Rule.base64` is tested on the result. Matches only if that matches."""

    bytes: int = 0
    offset: int = 0
    relative: bool = False


class Dataset(Struct, tag_field="is", tag="dataset"):
    """Look the buffer up in, or add it to, a named set. `cmd`: isset, isnotset, set, unset; `values` are what `load` named."""

    cmd: str
    name: str
    type: str
    load: str = ""
    state: str = ""
    memcap: int = 0
    hashsize: int = 0


class Datarep(Struct, tag_field="is", tag="datarep"):
    """Compare the reputation of the buffer in a named set."""

    name: str
    op: str
    value: int
    type: str
    load: str = ""
    memcap: int = 0
    hashsize: int = 0


class Entropy(Struct, tag_field="is", tag="entropy"):
    """Shannon's entropy of (a part of) the buffer, bits a byte. `op` as in `Number` but on fractions."""

    op: str
    value: float
    high: float = 0.0
    bytes: int = 0
    offset: int = 0


class Asn1(Struct, tag_field="is", tag="asn1"):
    """A fault in the ASN.1 at a place: any of those that are set (`oversize_length` 0: not asked)."""

    bitstring_overflow: bool = False
    double_overflow: bool = False
    oversize_length: int = 0
    absolute_offset: int | None = None
    relative_offset: int | None = None


Match = (
    Content
    | Pcre
    | ByteTest
    | ByteJump
    | ByteExtract
    | ByteMath
    | IsDataAt
    | Bsize
    | Urilen
    | Absent
    | Base64Decode
    | Dataset
    | Datarep
    | Entropy
    | Asn1
)


class Transform(Struct, frozen=True):
    """What is done to a buffer before it is tested: Suricata's name, and its argument or ""."""

    name: str
    argument: str = ""


class BufferTest(Struct):
    """All tests of one buffer, to be held at once. A buffer with several values (`dns.query` …) is tested value by value.

    `buffer` is the sticky buffer's name; `payload` is the packet's or the stream's own bytes. `direction` (`to_server`, `to_client`,
    `both`) is the side whose buffer is meant. A rule may test the same buffer more than once: each stands by itself.
    """

    buffer: str
    direction: str = "both"
    transforms: tuple[Transform, ...] = ()
    matches: list[Match] = field(default_factory=list)


# Tests beside the buffers.


class FieldTest(Struct, tag_field="is", tag="field"):
    """A number of a packet, flow or transaction (`ttl`, `tcp.mss`, `flow.pkts_toclient`, `dns.opcode` …) compared."""

    name: str
    number: Number
    index: str = ""


class FlagsTest(Struct, tag_field="is", tag="flags"):
    """TCP flags or fragment bits. `op`: none: exactly these, `+` these and others, `*` any, `!` not these; `ignored` bits do not count."""

    name: str
    op: str
    bits: int
    ignored: int = 0


class WordTest(Struct, tag_field="is", tag="word"):
    """A keyword with words: `sameip`, `ipopts:rr`, `ssl_version:!tls1.2`, `tls.version:1.3`, `geoip` …; `negated` is for all of them."""

    name: str
    words: tuple[str, ...] = ()
    negated: bool = False


class EventTest(Struct, tag_field="is", tag="event"):
    """An anomaly: `layer` is `app-layer`, `stream` or `decode`; `name` as in Suricata without the layer (`http.invalid_response`)."""

    layer: str
    name: str


class AppProtocol(Struct, tag_field="is", tag="app_protocol"):
    """The flow's application protocol (`failed`, `unknown` too); `side`: either, both, to_server, to_client, final, original."""

    name: str
    negated: bool = False
    side: str = ""


class StreamSize(Struct, tag_field="is", tag="stream_size"):
    """Bytes of a stream so far. `side`: server, client, both, either."""

    side: str
    number: Number


class IpProto(Struct, tag_field="is", tag="ip_proto"):
    """The protocol number of IP; `op` one of `= ! < >`."""

    op: str
    number: int


class IpRep(Struct, tag_field="is", tag="iprep"):
    """Reputation of an address in a category. `side`: any, src, dst, both; `op` also `isset`, `isnotset`."""

    side: str
    category: str
    op: str
    value: int


class FileTest(Struct, tag_field="is", tag="file"):
    """A file's hash in a list: `name` is filemd5, filesha1 or filesha256, `argument` the list's name."""

    name: str
    argument: str
    negated: bool = False


class DceIface(Struct, tag_field="is", tag="dce_iface"):
    """A DCERPC interface that was bound: its UUID in lower case, its version, and whether any fragment will do."""

    uuid: str
    version: Number | None = None
    any_frag: bool = False


class DceOpnum(Struct, tag_field="is", tag="dce_opnum"):
    """DCERPC operation numbers."""

    ranges: Ranges


class Modbus(Struct, tag_field="is", tag="modbus"):
    """Modbus: `kind` is function, access or unit; the text that belongs to it stays as it was written."""

    kind: str
    argument: str


class FlowBits(Struct, tag_field="is", tag="flowbits"):
    """Bits of the flow. `cmd`: isset, isnotset (any of `names`), set, unset, toggle (one name)."""

    cmd: str
    names: tuple[str, ...]


class FlowInt(Struct, tag_field="is", tag="flowint"):
    """A counter of the flow. `cmd`: `=` `+` `-` change it, `<` `<=` `==` `!=` `>=` `>` compare it, isset and isnotset ask for it."""

    name: str
    cmd: str
    value: int | str = 0


class XBits(Struct, tag_field="is", tag="xbits"):
    """Bits of an address, a pair of them or a transaction. `track`: ip_src, ip_dst, ip_pair, tx, and ip_both for `hostbits` of both."""

    cmd: str
    name: str
    track: str
    expire_s: int = 30


Test = (
    FieldTest
    | FlagsTest
    | WordTest
    | EventTest
    | AppProtocol
    | StreamSize
    | IpProto
    | IpRep
    | FileTest
    | DceIface
    | DceOpnum
    | Modbus
)

State = FlowBits | FlowInt | XBits


class Flow(Struct):
    """The `flow` keyword: what the packet's flow must be. Empty means that it does not matter."""

    state: str = ""
    """established, not_established or stateless."""
    direction: str = ""
    """to_server or to_client."""
    stream: str = ""
    """only_stream or no_stream."""
    fragment: str = ""
    """only_frag or no_frag."""


class Threshold(Struct):
    """How often a rule may speak. `type`: limit, threshold, both, backoff, detection_filter; `track`: by_src, by_dst, by_both …"""

    type: str
    track: str
    count: int
    seconds: int
    multiplier: int = 0


class Tag(Struct):
    """`tag`: keep what follows. `scope`: session or host; `metric`: packets, seconds, bytes; `side` of a host: src or dst."""

    scope: str
    count: int
    metric: str
    side: str = ""


class Rule(Struct):
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
    text: str = ""
