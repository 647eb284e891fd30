"""What each target of iptables does with a packet, as statements of the model; what changes nothing for its way has none."""

from collections.abc import Callable

from analysis.firewall.model import (
    Assign,
    Binary,
    Constant,
    Divert,
    Element,
    Expression,
    Field,
    Lookup,
    Members,
    Nat,
    NoTrack,
    Range,
    Span,
    Statement,
    Undecidable,
    Unknown,
    Update,
    Verdict,
)
from analysis.firewall.xtables_lines import Part
from analysis.firewall.xtables_matches import Conditions, Place, words_of
from analysis.firewall.xtables_values import address, masked, network, number, ports
from contracts.errors import Malformed

_NO_EFFECT = (
    *("LOG", "NFLOG", "ULOG", "AUDIT", "TRACE", "TCPMSS", "TCPOPTSTRIP", "CHECKSUM", "TEE", "ECN", "RATEEST"),
    *("IDLETIMER", "LED", "SECMARK", "CONNSECMARK"),
)
_BASE_HOOKS_OF_DESTINATION = frozenset(("PREROUTING", "OUTPUT"))
_FULL = 0xFFFFFFFF

Maker = Callable[[Part, Place], Conditions]


def _verdict(kind: str) -> Maker:
    return lambda _part, _place: (Verdict(kind),)


def _nothing(_part: Part, _place: Place) -> Conditions:
    return ()


def _mark(part: Part, _place: Place) -> Conditions:
    """Return the change of the packet's mark."""
    field = Field("meta mark")
    return (Assign(field, _xmark(part, field)),)


def _xmark(part: Part, field: Field) -> Expression:
    """Return (old & ~mask) ^ value: every way of setting a mark comes to that."""
    if len(part.options) != 1:
        raise Malformed(f"-j {part.name} with {len(part.options)} options")
    option = part.options[0]
    value, mask = masked(option.value)
    if option.name == "set-mark":
        value, mask = value, mask | value
    elif option.name == "and-mark":
        value, mask = 0, ~value & _FULL
    elif option.name == "or-mark":
        mask = value
    elif option.name == "xor-mark":
        mask = 0
    elif option.name != "set-xmark":
        raise Malformed(f"-j {part.name} has no --{option.name[:40]} that is known")
    if mask == _FULL:
        return Constant(value)
    return Binary("^", Binary("&", field, Constant(~mask & _FULL)), Constant(value))


def _connmark(part: Part, _place: Place) -> Conditions:
    """Return the change of the connection's mark, or of the packet's by it."""
    of_packet, of_connection = Field("meta mark"), Field("ct mark")
    if not part.has("save-mark", "restore-mark"):
        return (Assign(of_connection, _xmark(part, of_connection)),)
    masks = {"nfmask": _FULL, "ctmask": _FULL}
    for option in part.options:
        if option.name in ("mask", "nfmask", "ctmask"):
            names = ("nfmask", "ctmask") if option.name == "mask" else (option.name,)
            masks |= dict.fromkeys(names, number(option.value))
        elif option.name not in ("save-mark", "restore-mark"):
            raise Malformed(f"-j CONNMARK has no --{option.name[:40]} that is known")
    if part.has("save-mark"):
        return (Assign(of_connection, _copied(of_connection, masks["ctmask"], of_packet, masks["nfmask"])),)
    return (Assign(of_packet, _copied(of_packet, masks["nfmask"], of_connection, masks["ctmask"])),)


def _copied(old: Field, cleared: int, other: Field, taken: int) -> Expression:
    source: Expression = other if taken == _FULL else Binary("&", other, Constant(taken))
    if cleared == _FULL:
        return source
    return Binary("^", Binary("&", old, Constant(~cleared & _FULL)), source)


def _translation(kind: str, option_name: str) -> Maker:
    def make(part: Part, place: Place) -> Conditions:
        option = part.get(option_name)
        if option is None or len(option.values) != 1:
            raise Malformed(f"-j {part.name} without --{option_name}")
        target, target_ports = _target(option.value, place)
        return (Nat(kind=kind, family=place.family.version, address=target, port=target_ports),)

    return make


def _target(text: str, place: Place) -> tuple[Expression | None, Expression | None]:
    """Return address and port of `1.2.3.4-1.2.3.9:80-90/1000` or `[2001:db8::1]:80`; raises `Malformed`."""
    body, colon, tail = text, "", ""
    if place.family.version == 4:
        body, colon, tail = text.partition(":")
    elif text.startswith("["):
        body, colon, tail = text.rpartition("]:") if "]:" in text else (text, "", "")
        body = body.strip("[]").replace("]-[", "-")
    elif text.startswith(":") and text[1:2].isdigit() and text.count(":") == 1:
        body, colon, tail = "", ":", text[1:]
    low, dash, high = body.partition("-")
    found: Expression | None = None
    if body:
        first = address(low, place.family)
        last = address(high, place.family) if dash else first
        if first > last:
            raise Malformed(f"{text[:90]!r} runs backwards")
        found = Constant(first) if first == last else Range(first, last)
    return found, _target_port(tail, "th dport") if colon else None


def _target_port(text: str, looked_at: str) -> Expression:
    chosen, slash, first = text.partition("/")
    span = ports(chosen, "-")
    if slash:
        return _shifted(span, number(first, 0xFFFF), looked_at)
    return Constant(span.low) if span.low == span.high else Range(span.low, span.high)


def _shifted(span: Span, first: int, looked_at: str) -> Expression:
    """Return the port as far into the range as the packet's is behind `first`; those outside go to any of the range."""
    count = span.high - span.low + 1
    if first + count - 1 > 0xFFFF or count > 4096:
        return Range(span.low, span.high)
    elements = [Element(Span(first + step, first + step), Constant(span.low + step)) for step in range(count)]
    for low, high in ((0, first - 1), (first + count, 0xFFFF)):
        if low <= high:
            elements.append(Element(Span(low, high), Range(span.low, span.high)))
    return Lookup(Field(looked_at), Members(tuple(elements)))


def _masquerade(part: Part, place: Place) -> Conditions:
    option = part.get("to-ports")
    port = _target_port(option.value, "th sport") if option else None
    return (Nat(kind="masquerade", family=place.family.version, port=port),)


def _redirect(part: Part, place: Place) -> Conditions:
    option = part.get("to-ports")
    port = _target_port(option.value, "th dport") if option else None
    return (Nat(kind="redirect", family=place.family.version, port=port),)


def _netmap(part: Part, place: Place) -> Conditions:
    """Return the exchange of a prefix: of the destination where packets come in or are sent, of the source behind routing."""
    option = part.get("to")
    if option is None:
        raise Malformed("-j NETMAP without --to")
    span = network(option.value, place.family)
    is_destination = {hook in _BASE_HOOKS_OF_DESTINATION for hook in place.hooks}
    if len(is_destination) != 1:
        return (Unknown(words_of(part, "-j") + " in a chain that is reached from both sides of routing"),)
    kind = "dnat" if is_destination.pop() else "snat"
    return (Nat(kind=kind, family=place.family.version, address=Range(span.low, span.high), netmap=True),)


_ZONES = {"zone": "ct zone", "zone-orig": "ct original zone", "zone-reply": "ct reply zone"}


def _ct(part: Part, _place: Place) -> Conditions:
    """Return what CT does: no tracking, or another zone; helpers, events and time-outs decide nothing for a first packet."""
    if part.has("notrack"):
        return (NoTrack(),)
    found: list[Statement] = []
    for option in part.options:
        if option.name in _ZONES:
            zone: Expression = Field("meta mark") if option.value == "mark" else Constant(number(option.value, 0xFFFF))
            found.append(Assign(Field(_ZONES[option.name]), zone))
        elif option.name not in ("helper", "ctevents", "expevents", "timeout"):
            raise Malformed(f"-j CT has no --{option.name[:40]} that is known")
    return tuple(found)


def _divert(part: Part, _place: Place) -> Conditions:
    return (Divert(words_of(part, "-j")),)


def _set(part: Part, place: Place) -> Conditions:
    """Return what SET does to its set (or, by its set, to the packet's mark)."""
    found: list[Statement] = []
    for option in part.options:
        if option.name in ("add-set", "del-set"):
            known = place.ipsets.get(option.values[0])
            if len(option.values) != 2 or known is None:
                continue  # a set that was not read is undecided wherever it is asked
            if known.dimensions == ("set",):
                found.append(Unknown(f"{words_of(part, '-j')}, a list of sets"))
                continue
            fields = known.update_key(option.values[1], place.family.version)
            if fields is not None:
                found.append(Update(name=known.name, key=fields, delete=option.name == "del-set", ipset=True))
        elif option.name == "map-mark":
            found.append(Assign(Field("meta mark"), Undecidable(words_of(part, "-j"))))
        elif option.name == "map-prio":
            found.append(Assign(Field("meta priority"), Undecidable(words_of(part, "-j"))))
    return tuple(found)


def _classify(part: Part, _place: Place) -> Conditions:
    option = part.get("set-class")
    major, _, minor = (option.value if option else "").partition(":")
    try:
        value = int(major or "0", 16) << 16 | int(minor or "0", 16)
    except ValueError as error:
        raise Malformed(f"-j CLASSIFY with {major[:20]!r}:{minor[:20]!r}") from error
    return (Assign(Field("meta priority"), Constant(value)),)


def _hops(part: Part, place: Place) -> Conditions:
    field = Field("ip ttl" if place.family.version == 4 else "ip6 hoplimit")
    option = part.get("ttl-set", "hl-set")
    value: Expression = Constant(number(option.value, 255)) if option else Undecidable(words_of(part, "-j"))
    return (Assign(field, value),)


def _dscp(part: Part, place: Place) -> Conditions:
    option = part.get("set-dscp")
    value: Expression = Constant(number(option.value, 63)) if option else Undecidable(words_of(part, "-j"))
    return (Assign(Field(f"{place.family.word} dscp"), value),)


def _tos(part: Part, place: Place) -> Conditions:
    """Return the change of the type of service, in the two halves that nftables knows."""
    word, option = place.family.word, part.get("set-tos")
    if option is None:
        text = words_of(part, "-j")
        return tuple(Assign(Field(f"{word} {half}"), Undecidable(text)) for half in ("dscp", "ecn"))
    value, mask = masked(option.value, 255)
    found: list[Statement] = []
    for name, new, cleared, full in (("dscp", value >> 2, mask >> 2, 63), ("ecn", value & 3, mask & 3, 3)):
        field = Field(f"{word} {name}")
        if cleared == full:
            found.append(Assign(field, Constant(new)))
        elif cleared or new:
            found.append(Assign(field, Binary("^", Binary("&", field, Constant(~cleared & full)), Constant(new))))
    return tuple(found)


TARGETS: dict[str, Maker] = {
    "ACCEPT": _verdict("accept"),
    "DROP": _verdict("drop"),
    "REJECT": _verdict("reject"),
    "RETURN": _verdict("return"),
    "QUEUE": _verdict("queue"),
    "NFQUEUE": _verdict("queue"),
    **dict.fromkeys(_NO_EFFECT, _nothing),
    "MARK": _mark,
    "CONNMARK": _connmark,
    "DNAT": _translation("dnat", "to-destination"),
    "SNAT": _translation("snat", "to-source"),
    "MASQUERADE": _masquerade,
    "REDIRECT": _redirect,
    "NETMAP": _netmap,
    "NOTRACK": lambda _part, _place: (NoTrack(),),
    "CT": _ct,
    "TPROXY": _divert,
    "SYNPROXY": _divert,
    "SET": _set,
    "CLASSIFY": _classify,
    "HMARK": lambda part, _place: (Assign(Field("meta mark"), Undecidable(words_of(part, "-j"))),),
    "TTL": _hops,
    "HL": _hops,
    "DSCP": _dscp,
    "TOS": _tos,
}
"""Every target that is known, by its name."""


def statements(part: Part, place: Place) -> Conditions:
    """Return what a target does; an unknown one may do anything, and is named."""
    maker = TARGETS.get(part.name)
    if maker is None:
        return (Unknown(words_of(part, "-j")),)
    try:
        return maker(part, place)
    except Malformed as error:
        return (Unknown(f"{words_of(part, '-j')} ({error})"),)
