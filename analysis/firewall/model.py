"""What decides on a packet's way, as typed values: tables, chains, rules of statements and expressions, sets, links, routes, switches.

nftables' JSON and iptables' lines are read into the same nodes, so that one evaluator serves both. Numbers are plain `int` in host order
whatever nft or iptables call them (an address, a port, an ethertype, a mark, flags); only interface names, and helper, cgroup and
operating system names are `str`. Names of fields are nftables' own.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from contracts.record import Record

Value: TypeAlias = int | str

# ---- what is compared with: the right-hand side


class Span(Record, frozen=True, kw_only=False, gc=False):
    """The numbers from `low` to `high`, both included; a prefix and a single number are spans too."""

    low: int
    high: int


class Name(Record, frozen=True, kw_only=False, gc=False):
    """A string, compared exactly; one that ends in an asterisk stands for everything that begins like it (`eth*`)."""

    text: str


class Joined(Record, frozen=True, kw_only=False):
    """One concatenated key, a part for each part of the `Concat` it is compared with: a packet matches if all parts do."""

    parts: tuple[Span | Name, ...]


Key: TypeAlias = Span | Name | Joined


class Element(Record, frozen=True, kw_only=False):
    """One element of a set or map. `data` is what a map gives for it: a verdict, or an expression (mostly `Constant`, `Range`, `Concat`).

    `excluded` is ipset's `nomatch`: of all elements that cover a value the smallest one decides, and an excluded one says no.
    """

    key: Key
    data: "Verdict | Expression | None" = None
    excluded: bool = False


class Members(Record, frozen=True, kw_only=False):
    """An anonymous set or map, written inside a rule. Nothing in it matches nothing."""

    elements: tuple[Element, ...]


class SetRef(Record, frozen=True, kw_only=False):
    """A named set or map of the rule's own table (`Table.sets`), or, with `ipset`, of `Datapath.ipsets`.

    A name that is not there is unknown to the evaluator: may match, and named.
    """

    name: str
    ipset: bool = False


class NamedSet(Record, frozen=True):
    """A named set, map or ipset. `unread` says why the elements are not (all) known: then a miss is undecided, while a hit is sure.

    nft's `* : accept` is an element whose key covers everything: the smaller ones decide first.
    """

    name: str
    elements: tuple[Element, ...] = ()
    unread: str = ""


# ---- expressions: what has a value for each packet


class Field(Record, frozen=True, kw_only=False):
    """A field of the packet, of what the kernel knows beside it (meta, ct), by its name as nftables writes it.

    A packet that has no such field (`ip saddr` of an IPv6 packet, `tcp dport` of a UDP packet) matches no comparison with it, not
    even `!=`: the rule is left. Interface names where there is no interface (`iifname` in output) are "", so `!=` matches them.
    The evaluator knows these; any other name is unknown, named, and may match:

    `ip saddr|daddr|protocol|version|hdrlength|ttl|length|dscp|ecn|id|frag-off|checksum`, `ip6 saddr|daddr|nexthdr|hoplimit|length|
    dscp|flowlabel|version`, `tcp|udp|udplite|sctp|dccp|th sport|dport` (`th` is whatever of them the packet has), `tcp flags`
    (fin 1, syn 2, rst 4, psh 8, ack 16, urg 32, ecn 64, cwr 128), `tcp sequence|ackseq|window|doff|checksum|urgptr`, `udp length|checksum`,
    `icmp type` …, `ether saddr|daddr|type`, `vlan …`, `arp …`; `meta iifname|oifname|iif|oif` (all four are names here), `meta
    iifgroup|oifgroup|iiftype|oiftype|l4proto|nfproto|protocol|mark|pkttype|length|priority|skuid|skgid|cgroup|cpu|time|day|hour|ibrname|
    obrname|iifkind|oifkind|sdif|sdifname|rtclassid|nftrace|random|ipsec`, `ct state` (invalid 1, established 2, related 4, new 8,
    untracked 64), `ct status` (expected 1, seen-reply 2, assured 4, confirmed 8, snat 16, dnat 32, dying 512), `ct direction` (original 0,
    reply 1), `ct mark|zone|helper|expiration|l3proto|protocol|label|id|packets|bytes|avgpkt`, `ct original|reply ip saddr|ip daddr|ip6
    saddr|ip6 daddr|proto-src|proto-dst` (after a direction, and the address's family, in this order: `ct original ip saddr`).
    """

    name: str


class Fib(Record, frozen=True, kw_only=False):
    """A route lookup. `flags` of saddr, daddr, mark, iif, oif; `result` is type, present (0, 1), or oif and oifname: a
    name, "" without route.

    `type` is a number: unspec 0, unicast 1, local 2, broadcast 3, anycast 4, multicast 5, blackhole 6, unreachable 7, prohibit 8.
    iptables' `addrtype --dst-type` is `Fib(("daddr",), "type")`, with `--limit-iface-in` `("daddr", "iif")`.
    """

    flags: tuple[str, ...]
    result: str


class Payload(Record, frozen=True, kw_only=False):
    """Raw bits of the packet: `base` ll, nh, th or ih, `offset` and `length` in bits. The evaluator reads those it knows as fields."""

    base: str
    offset: int
    length: int


class Binary(Record, frozen=True, kw_only=False):
    """`left` operator `right`: one of & | ^ << >>, on 32 bits unless `width` says otherwise (128 for IPv6 addresses)."""

    operator: str
    left: "Expression"
    right: "Expression"
    width: int = 32


class Constant(Record, frozen=True, kw_only=False):
    """One value."""

    value: Value


class Range(Record, frozen=True, kw_only=False):
    """Any value from `low` to `high`: the kernel chooses (an address or port to translate to)."""

    low: int
    high: int


class Concat(Record, frozen=True, kw_only=False):
    """Several values side by side: the key of a lookup, or the data of a map (`addr . port`)."""

    parts: "tuple[Expression, ...]"


class Lookup(Record, frozen=True, kw_only=False):
    """What a data map holds for `key`; without an element for it there is no value, and the rule is left."""

    key: "Expression"
    where: Members | SetRef


class Undecidable(Record, frozen=True, kw_only=False):
    """A value nobody can know beforehand (a random number, the time) or that is not understood; `text` names it in its tool's words."""

    text: str


Expression: TypeAlias = Field | Fib | Payload | Binary | Constant | Range | Concat | Lookup | Undecidable

# ---- statements: what a rule does, one after another; the first that does not match ends the rule


class Verdict(Record, frozen=True, kw_only=False):
    """`kind` is accept, drop, reject, continue, return, jump, goto or queue; `chain` is where jump and goto go.

    accept ends this base chain (and a later one still sees the packet), drop and reject end the packet's way, return goes back to the
    calling chain behind the jump (in a base chain: its policy applies), goto returns to where the chain itself would have returned to.
    queue leaves the verdict to a program: may end the packet or accept it. In nat chains of iptables the same words serve.
    """

    kind: str
    chain: str = ""


class Match(Record, frozen=True, kw_only=False):
    """Goes on if `left` compares so with `right`.

    `operator`: `==` is among (a `Span`, `Name`, `Joined`, or any of a set's elements), `!=` is not among them; `<`, `<=`, `>`, `>=` with
    a `Constant`; `any` shares at least one bit with the `Constant` (`ct state established,related` is any of 6), `none` shares none.
    With an expression on the right `==` and `!=` compare values. A packet without the field does not match under any operator.
    """

    left: Expression
    operator: str
    right: Key | Members | SetRef | Expression


class AnyOf(Record, frozen=True, kw_only=False):
    """Goes on if at least one of the `options` does; each is a row of conditions (`Match`, `AnyOf`, `Not`, `Maybe`) that must all match."""

    options: "tuple[tuple[Statement, ...], ...]"


class Not(Record, frozen=True, kw_only=False):
    """Goes on unless all `conditions` match: the exact opposite of them in a row."""

    conditions: "tuple[Statement, ...]"


class Maybe(Record, frozen=True, kw_only=False):
    """A condition that is taken both ways because it depends on what nobody knows beforehand: limit, quota, recent, random, times of day.

    `text` names it in its tool's words. `free` is an optional promise that it has no other effect on the packet; there is none without.
    """

    text: str


class Unknown(Record, frozen=True, kw_only=False):
    """A statement that is not understood: it may match or not, end the packet's way, accept it, or go on. `text` is its own words."""

    text: str


class VerdictMap(Record, frozen=True, kw_only=False):
    """Takes the verdict that the map holds for `key`; without an element for it the rule goes on to its next statement (there is none).

    Elements of `where` carry a `Verdict` as data.
    """

    key: Expression
    where: Members | SetRef


class Assign(Record, frozen=True, kw_only=False):
    """Sets a field that later rules may look at (`meta mark`, `ct mark`, `meta priority`, `ip daddr` …) and goes on.

    If `value` has no value for a packet (a map without an element for it), the rule is left.
    """

    field: Field
    value: Expression


class NoTrack(Record, frozen=True):
    """Takes the packet out of connection tracking, if it runs before it (priority below -200), and goes on."""


class Nat(Record, frozen=True):
    """Translates the connection and accepts. `kind` is dnat, snat, masquerade or redirect; redirect goes to an address of the interface.

    `family` is 4, 6, or 0 for the packet's own. `address` None keeps it (redirect: the interface's own), `port` None the port. `netmap`
    replaces the prefix only (`address` is then the network: a `Range` or a lookup that gives one). In a map that gives address and port
    together, `address` is the `Lookup` of a `Concat` and `port` is None.
    `random`: a port out of a range is chosen at random. Only chains of type nat hold it, and the first one in a hook binds.
    """

    kind: str
    family: int = 0
    address: Expression | None = None
    port: Expression | None = None
    netmap: bool = False
    random: bool = False


class Update(Record, frozen=True):
    """Adds the value of `key` to the named set (`delete`: takes it out) and goes on; later lookups of this packet in it find it.

    `ipset` as in `SetRef`. `conditions` stand in the statement's braces: `update @m { ip saddr limit rate 5/minute }` goes on
    only if they match.
    """

    name: str
    key: Expression
    conditions: "tuple[Statement, ...]" = ()
    delete: bool = False
    ipset: bool = False


class Divert(Record, frozen=True, kw_only=False):
    """Hands the packet to something else than its way (tproxy, synproxy, fwd): where it ends is undecided. `text` is its own words."""

    text: str


Statement: TypeAlias = (
    Verdict | Match | AnyOf | Not | Maybe | Unknown | VerdictMap | Assign | NoTrack | Nat | Update | Divert
)
"""Counters, logs and whatever else changes nothing for this packet's way are not in the model at all."""


class Rule(Record, frozen=True, kw_only=False):
    """`statements` in order. `text` is the rule in its tool's own words, `handle` its number in the kernel, 0 where there is none."""

    statements: tuple[Statement, ...]
    text: str
    handle: int = 0


class Base(Record, frozen=True):
    """What makes a chain a base chain. `kind` is filter, nat or route; `hook` as nftables names it; `policy` accept or drop.

    `devices` of netdev chains, empty elsewhere.
    """

    kind: str
    hook: str
    priority: int
    policy: str = "accept"
    devices: tuple[str, ...] = ()


class Chain(Record, frozen=True):
    """A chain with its rules in order. `unread` says why rules are missing: then it may end a packet's way or not.

    `handle` is its number in nftables: of two base chains of a table with equal priority the later one is walked first.
    """

    name: str
    handle: int = 0
    rules: tuple[Rule, ...] = ()
    base: Base | None = None
    unread: str = ""


class Table(Record, frozen=True):
    """`family` is ip, ip6, inet, arp, bridge, netdev, or legacy-ip and legacy-ip6 for iptables-legacy, which are evaluated like ip and ip6.

    `dormant`: its base chains are not hooked in. `unsure` says why it is not known whether they are.
    """

    family: str
    name: str
    chains: Mapping[str, Chain]
    sets: Mapping[str, NamedSet] = {}
    dormant: bool = False
    unsure: str = ""


# ---- the network around it


class Link(Record, frozen=True):
    """A network interface. `addresses` are (address, prefix length, broadcast or -1, family 4 or 6, scope) of those that are its own.

    `kind` as iproute2 names it (bridge, vrf, veth, …), `master` its bridge, bond or VRF, `lower` what a VLAN or macvlan lies upon.
    """

    name: str
    index: int = 0
    up: bool = True
    loopback: bool = False
    kind: str = ""
    master: str = ""
    master_kind: str = ""
    lower: str = ""
    group: int = 0
    type: int = 1
    addresses: tuple[tuple[int, int, int, int, str], ...] = ()
    point_to_point: bool = False
    xdp: bool = False


class Route(Record, frozen=True):
    """One route: `low` to `high` is its destination, `table` its number, `kind` a number as in `Fib`, `device` "" for none."""

    family: int
    table: int
    low: int
    high: int
    length: int
    kind: int = 1
    device: str = ""
    metric: int = 0
    dead: bool = False
    text: str = ""
    unsure: str = ""
    devices: tuple[str, ...] = ()


class RoutingRule(Record, frozen=True):
    """One rule of policy routing: selectors, and `table` to look in (or `action`: unreachable, blackhole, prohibit, goto, nop).

    `unsure` names a selector that is not understood.
    """

    family: int
    priority: int
    table: int = 0
    action: str = "lookup"
    target: int = 0
    source: Span | None = None
    destination: Span | None = None
    iif: str = ""
    oif: str = ""
    mark: int | None = None
    mask: int = 0xFFFFFFFF
    protocol: int = 0
    source_ports: Span | None = None
    destination_ports: Span | None = None
    inverted: bool = False
    suppress_length: int = -1
    suppress_group: int = -1
    unsure: str = ""


class Network(Record, frozen=True):
    """Links by name, routes, rules of policy routing by priority, switches (sysctls) by name."""

    links: Mapping[str, Link] = {}
    routes: tuple[Route, ...] = ()
    rules: tuple[RoutingRule, ...] = ()
    switches: Mapping[str, str] = {}


class XfrmPolicy(Record, frozen=True, kw_only=False):
    """An IPsec policy for the packets that meet `conditions`; the first by `priority` that is for a packet decides.

    `direction` is in, fwd or out. `passes`: it asks for nothing, so that packets go on as they are.
    """

    direction: str
    priority: int
    conditions: "tuple[Statement, ...]"
    passes: bool
    text: str


class Datapath(Record, frozen=True):
    """Everything that decides on a packet's way. `programs` are (kind, place, text); `unread` names rows that could not be understood.

    `cache` belongs to the evaluator: indexes of sets, made once; it never changes what is answered.
    """

    tables: tuple[Table, ...] = ()
    network: Network = Network()
    ipsets: Mapping[str, NamedSet] = {}
    programs: tuple[tuple[str, str, str], ...] = ()
    policies: tuple[XfrmPolicy, ...] = ()
    unread: tuple[str, ...] = ()
    cache: dict[str, Any] = {}
