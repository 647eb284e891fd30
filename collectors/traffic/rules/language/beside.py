"""The tests of a rule that are not of a buffer, as plain values: headers, events, files, state that lasts."""

from msgspec import Struct

from collectors.traffic.rules.language.values import Addresses, Number, Ranges


class FieldTest(Struct, array_like=True, gc=False, tag_field="is", tag="field"):
    """A number of a packet, flow or transaction (`ttl`, `tcp.mss`, `flow.pkts_toclient`, `dns.opcode` …) compared."""

    name: str
    number: Number
    index: str = ""


class FlagsTest(Struct, array_like=True, gc=False, tag_field="is", tag="flags"):
    """TCP flags or fragment bits. `op`: none: exactly these, `+` these and others, `*` any, `!` not these; `ignored` bits do not count."""

    name: str
    op: str
    bits: int
    ignored: int = 0


class WordTest(Struct, array_like=True, gc=False, tag_field="is", tag="word"):
    """A keyword with words: `sameip`, `ipopts:rr`, `ssl_version:!tls1.2`, `tls.version:1.3`, `geoip` …; `negated` is for all of them."""

    name: str
    words: tuple[str, ...] = ()
    negated: bool = False


class EventTest(Struct, array_like=True, gc=False, tag_field="is", tag="event"):
    """An anomaly: `layer` is `app-layer`, `stream` or `decode`; `name` as in Suricata without the layer (`http.invalid_response`)."""

    layer: str
    name: str


class AppProtocol(Struct, array_like=True, gc=False, tag_field="is", tag="app_protocol"):
    """The flow's application protocol (`failed`, `unknown` too); `side`: either, both, to_server, to_client, final, original."""

    name: str
    negated: bool = False
    side: str = ""


class StreamSize(Struct, array_like=True, gc=False, tag_field="is", tag="stream_size"):
    """Bytes of a stream so far. `side`: server, client, both, either."""

    side: str
    number: Number


class IpProto(Struct, array_like=True, gc=False, tag_field="is", tag="ip_proto"):
    """The protocol number of IP; `op` one of `= ! < >`."""

    op: str
    number: int


class IpRep(Struct, array_like=True, gc=False, tag_field="is", tag="iprep"):
    """Reputation of an address in a category. `side`: any, src, dst, both; `op` also `isset`, `isnotset`.

    `listed` are the addresses for which it holds (that have a score at all, for these two): `rules/reputation.py` fills it in.
    """

    side: str
    category: str
    op: str
    value: int
    listed: Addresses | None = None


class DceIface(Struct, array_like=True, gc=False, tag_field="is", tag="dce_iface"):
    """A DCERPC interface that was bound: its UUID in lower case, its version, and whether any fragment will do."""

    uuid: str
    version: Number | None = None
    any_frag: bool = False


class DceOpnum(Struct, array_like=True, gc=False, tag_field="is", tag="dce_opnum"):
    """DCERPC operation numbers."""

    ranges: Ranges


class Modbus(Struct, array_like=True, gc=False, tag_field="is", tag="modbus"):
    """Modbus: `kind` is function, access or unit; the text that belongs to it stays as it was written."""

    kind: str
    argument: str


class FlowBits(Struct, array_like=True, gc=False, tag_field="is", tag="flowbits"):
    """Bits of the flow. `cmd`: isset, isnotset (any of `names`), set, unset, toggle (one name)."""

    cmd: str
    names: tuple[str, ...]


class FlowInt(Struct, array_like=True, gc=False, tag_field="is", tag="flowint"):
    """A counter of the flow. `cmd`: `=` `+` `-` change it, `<` `<=` `==` `!=` `>=` `>` compare it, isset and isnotset ask for it."""

    name: str
    cmd: str
    value: int | str = 0


class XBits(Struct, array_like=True, gc=False, tag_field="is", tag="xbits"):
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
    | DceIface
    | DceOpnum
    | Modbus
)

State = FlowBits | FlowInt | XBits
