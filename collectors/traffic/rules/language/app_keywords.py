"""Keywords about application protocols that are no buffers: numbers of transactions, TLS versions, DCERPC interfaces, events."""

# ruff: noqa: ARG001 - every keyword is called with the same arguments

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from collectors.traffic.rules.language import enumerations as names
from collectors.traffic.rules.language.buffers import BUFFERS
from collectors.traffic.rules.language.content_keywords import pattern
from collectors.traffic.rules.language.draft import Draft
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.keyword import NONE, OPTIONAL, Keyword
from collectors.traffic.rules.language.numbers import U8, U16, U32, U64, integer, named, number
from collectors.traffic.rules.language.protocols import APPLICATION
from collectors.traffic.rules.language.ranges import union
from collectors.traffic.rules.language.rule import (
    BufferTest,
    Content,
    DceIface,
    DceOpnum,
    EventTest,
    FieldTest,
    Modbus,
    Number,
    Pcre,
    WordTest,
)

TLS_VERSIONS = frozenset({"1.0", "1.1", "1.2", "1.3"})
SSL_VERSIONS = frozenset({"sslv2", "sslv3", "tls1.0", "tls1.1", "tls1.2", "tls1.3"})
SSL_STATES = frozenset({"client_hello", "server_hello", "client_keyx", "server_keyx", "unknown"})

DATE_FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H", "%Y-%m-%d", "%Y-%m", "%Y")

_NO_NAMES: Mapping[str, int] = {}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
_FIELDS: tuple[tuple[str, str, int, Mapping[str, int]], ...] = (
    ("dns", "dns.opcode", U8, names.DNS_OPCODES),
    ("dns", "dns.rcode", U16, names.DNS_RCODES),
    ("dns", "dns.rrtype", U16, names.DNS_TYPES),
    ("tls", "tls.cert_chain_len", U32, _NO_NAMES),
    ("nfs", "nfs.version", U32, _NO_NAMES),
    ("nfs", "nfs_procedure", U32, _NO_NAMES),
    ("smb", "smb.version", U8, _NO_NAMES),
    ("krb5", "krb5_msg_type", U8, names.KERBEROS_MESSAGES),
    ("krb5", "krb5_err_code", U32, _NO_NAMES),
    ("snmp", "snmp.version", U32, _NO_NAMES),
    ("snmp", "snmp.pdu_type", U32, names.SNMP_PDUS),
    ("mqtt", "mqtt.type", U8, names.MQTT_TYPES),
    ("mqtt", "mqtt.qos", U8, _NO_NAMES),
    ("mqtt", "mqtt.protocol_version", U8, _NO_NAMES),
    ("mqtt", "mqtt.reason_code", U8, _NO_NAMES),
    ("rfb", "rfb.sectype", U32, names.RFB_SECURITY_TYPES),
    ("rfb", "rfb.secresult", U32, names.RFB_RESULTS),
    ("ike", "ike.exchtype", U8, _NO_NAMES),
    ("ike", "ike.key_exchange_payload_length", U32, _NO_NAMES),
    ("ike", "ike.nonce_payload_length", U32, _NO_NAMES),
    ("http2", "http2.frametype", U8, names.HTTP2_FRAMES),
    ("http2", "http2.errorcode", U32, names.HTTP2_ERRORS),
    ("http2", "http2.priority", U8, _NO_NAMES),
    ("http2", "http2.window", U32, _NO_NAMES),
    ("http2", "http2.size_update", U64, _NO_NAMES),
    ("dhcp", "dhcp.leasetime", U64, _NO_NAMES),
    ("dhcp", "dhcp.rebinding_time", U64, _NO_NAMES),
    ("dhcp", "dhcp.renewal_time", U64, _NO_NAMES),
    ("ftp", "ftp.dynamic_port", U16, _NO_NAMES),
    ("websocket", "websocket.opcode", U8, names.WEBSOCKET_OPCODES),
    ("websocket", "websocket.mask", U32, _NO_NAMES),
    ("ldap", "ldap.request.operation", U8, names.LDAP_OPERATIONS),
    ("ldap", "ldap.responses.count", U32, _NO_NAMES),
    *(
        ("enip", f"enip.{name}", U32, _NO_NAMES)
        for name in [
            "capabilities",
            "cip_attribute",
            "cip_class",
            "vendor_id",
            "status",
            "state",
            "serial",
            "protocol_version",
            "product_code",
            "identity_status",
            "device_type",
            "cip_status",
            "cip_instance",
            "cip_extendedstatus",
        ]
    ),
)

_WORDS: tuple[tuple[str, str], ...] = (
    ("krb5", "krb5.ticket_encryption"),
    ("dnp3", "dnp3_func"),
    ("dnp3", "dnp3_ind"),
    ("dnp3", "dnp3_obj"),
    ("mqtt", "mqtt.flags"),
    ("mqtt", "mqtt.connect.flags"),
    ("ike", "ike.chosen_sa_attribute"),
    ("enip", "cip_service"),
    ("enip", "enip_command"),
    ("enip", "enip.revision"),
    ("websocket", "websocket.flags"),
    ("ftp-data", "ftpdata_command"),
)

ALIASES = {
    "snmp_version": "snmp.version",
    "snmp_pdu_type": "snmp.pdu_type",
    "nfs_version": "nfs.version",
    "tls.cert_chain_length": "tls.cert_chain_len",
    "dns_opcode": "dns.opcode",
    "smb_version": "smb.version",
}


def _field(protocol: str, name: str, highest: int, values: Mapping[str, int]) -> Keyword:
    def apply(draft: Draft, argument: str, negated: bool) -> None:
        draft.protocol(protocol, name)
        draft.rule.tests.append(FieldTest(name, named(argument, values, highest)))

    return Keyword(apply)


def _indexed(protocol: str, name: str, highest: int, values: Mapping[str, int]) -> Keyword:
    """Return a keyword for a number of which there are several: `value[,index]`."""

    def apply(draft: Draft, argument: str, negated: bool) -> None:
        draft.protocol(protocol, name)
        value, _, index = argument.partition(",")
        draft.rule.tests.append(FieldTest(name, named(value, values, highest), index.strip() or "any"))

    return Keyword(apply)


def _words(protocol: str, name: str) -> Keyword:
    def apply(draft: Draft, argument: str, negated: bool) -> None:
        draft.protocol(protocol, name)
        draft.rule.tests.append(WordTest(name, tuple(part.strip().lower() for part in argument.split(",")), negated))

    return Keyword(apply, quotes=OPTIONAL)


def _setting(draft: Draft, argument: str, negated: bool) -> None:
    """Take the name of a setting of HTTP/2, and a comparison with its value where there is one."""
    draft.protocol("http2", "http2.settings")
    found = re.match(r"\s*(\w+)\s*(.*?)\s*$", argument)
    if not found or found[1].lower() not in names.HTTP2_SETTINGS:
        known = ", ".join(names.HTTP2_SETTINGS).upper()
        raise Refused(f'http2.settings: "{argument}" does not begin with one of {known}')
    if found[2]:
        number(found[2], U32)
    draft.rule.tests.append(WordTest("http2.settings", (found[1].lower(), found[2])))


def _tls_version(draft: Draft, argument: str, negated: bool) -> None:
    draft.protocol("tls", "tls.version")
    word = argument.strip().lower()
    if word not in TLS_VERSIONS and not word.startswith("0x"):
        raise Refused(f'tls.version: "{argument}" is not one of {", ".join(sorted(TLS_VERSIONS))}, or 0x and a number')
    if word.startswith("0x"):
        integer(word, 0, U16)
    draft.rule.tests.append(WordTest("tls.version", (word,), negated))


def _ssl(name: str, words: frozenset[str], separator: str) -> Keyword:
    def apply(draft: Draft, argument: str, negated: bool) -> None:
        draft.protocol("tls", name)
        parts = [part.strip().lower() for part in argument.replace(separator, ",").split(",")]
        inverted = [part.startswith("!") for part in parts]
        if name == "ssl_version" and any(inverted) != all(inverted):
            raise Refused("ssl_version: either all versions are negated or none")
        unknown = {part.removeprefix("!") for part in parts} - words
        if unknown:
            raise Refused(f"{name}: {', '.join(sorted(unknown))} is not known")
        if name == "ssl_version":
            draft.rule.tests.append(WordTest(name, tuple(part.removeprefix("!") for part in parts), inverted[0]))
        else:
            draft.rule.tests.append(WordTest(name, tuple(parts)))

    return Keyword(apply)


def _short(protocol: str, buffer: str, exact: bool = False) -> Keyword:
    """Return an old keyword that is one content of a buffer."""

    def apply(draft: Draft, argument: str, negated: bool) -> None:
        draft.protocol(protocol, buffer)
        content = Content(pattern(argument), negated, endswith=exact, startswith=exact)
        if exact:
            content.offset, content.depth, content.nocase = 0, len(content.pattern), True
        draft.rule.buffers.append(BufferTest(buffer, BUFFERS[buffer].direction, matches=[content]))

    return Keyword(apply, quotes=OPTIONAL, negation=True)


def _protoversion(draft: Draft, argument: str, negated: bool) -> None:
    draft.protocol("ssh", "ssh.protoversion")
    word = argument.strip()
    if word == "2_compat":
        expression = rb"^(?:2(?:\.\d+)?|1\.99)$"
    elif re.match(r"[0-9]+(\.[0-9]+)?$", word):
        expression = b"^" + re.escape(word).encode() + b"$"
    else:
        raise Refused(f'ssh.protoversion: "{argument}" is not a version')
    draft.rule.buffers.append(BufferTest("ssh.proto", matches=[Pcre(expression)]))


def _validity(name: str) -> Keyword:
    """Return a keyword that compares a date of a certificate; dates become Unix seconds (UTC)."""

    def apply(draft: Draft, argument: str, negated: bool) -> None:
        draft.protocol("tls", name)
        word = argument.strip()
        low, between, high = (part.strip() for part in word.partition("<>"))
        if between:
            found = Number("in", _seconds(name, low), _seconds(name, high))
        else:
            op = word[0] if word[:1] in {"<", ">", "="} else "="
            found = Number(op, _seconds(name, word.removeprefix(op)))
        draft.rule.tests.append(FieldTest(name, found))

    return Keyword(apply, quotes=OPTIONAL)


def _seconds(name: str, text: str) -> int:
    word = text.strip().replace("T", " ", 1)
    for form in DATE_FORMS:
        try:
            return max(int(datetime.strptime(word, form).replace(tzinfo=UTC).timestamp()), 0)
        except ValueError:
            continue
    raise Refused(f'{name}: "{text.strip()}" is not a date such as 2026-01-31T23:59:59')


def _bare(protocol: str, name: str) -> Keyword:
    def apply(draft: Draft, argument: str, negated: bool) -> None:
        draft.protocol(protocol, name)
        draft.rule.tests.append(WordTest(name))

    return Keyword(apply, NONE)


def _dce_iface(draft: Draft, argument: str, negated: bool) -> None:
    draft.protocol("dcerpc", "dcerpc.iface")
    parts = [part.strip().lower() for part in argument.split(",")]
    if not _UUID.match(parts[0]):
        raise Refused(f'dcerpc.iface: "{parts[0]}" is not a UUID')
    match = DceIface(parts[0])
    for part in parts[1:]:
        if part == "any_frag":
            match.any_frag = True
        elif part[:1] in {"<", ">", "=", "!"}:
            match.version = number(part, U16)
        else:
            raise Refused(f'dcerpc.iface: "{part}" is not known')
    draft.rule.tests.append(match)


def _dce_opnum(draft: Draft, argument: str, negated: bool) -> None:
    draft.protocol("dcerpc", "dcerpc.opnum")
    ranges = []
    for part in argument.split(","):
        low, dash, high = part.partition("-")
        ranges.append((integer(low, 0, U16), integer(high if dash else low, 0, U16)))
        if ranges[-1][0] > ranges[-1][1]:
            raise Refused(f'dcerpc.opnum: "{part.strip()}" is not a range')
    draft.rule.tests.append(DceOpnum(union(ranges)))


def _modbus(draft: Draft, argument: str, negated: bool) -> None:
    draft.protocol("modbus", "modbus")
    kind = argument.split(None, 1)[0].rstrip(",")
    if kind not in {"function", "access", "unit", "subfunction"}:
        raise Refused(f'modbus: "{argument}" is not function, access or unit')
    draft.rule.tests.append(Modbus(kind, " ".join(argument.split())))


def _app_event(draft: Draft, argument: str, negated: bool) -> None:
    name = argument.strip().lower()
    protocol, dot, event = name.partition(".")
    if dot:
        protocol = {"http": "http1"}.get(protocol, protocol)
        if protocol not in APPLICATION or not event:
            raise Refused(f'app-layer-event: "{argument}" is of no protocol that is known here')
        draft.protocol({"http1": "http1"}.get(protocol, protocol), "app-layer-event")
    elif not name.startswith("applayer_"):
        raise Refused(f'app-layer-event: "{argument}" is not known')
    draft.rule.tests.append(EventTest("app-layer", name))


def _app_state(draft: Draft, argument: str, negated: bool) -> None:
    found = re.match(r"\s*([<>])?\s*([a-z_]+)\s*$", argument)
    if not found or not draft.rule.app_protocol:
        raise Refused(f'app-layer-state: "{argument}" is not a state of the rule\'s protocol')
    if found[1]:
        draft.rule.tests.append(WordTest("app-layer-state", (found[1], found[2])))
    elif draft.rule.hook:
        raise Refused(f"app-layer-state: the rule waits for {draft.rule.hook} already")
    else:
        draft.rule.hook = found[2]


def _choice(protocol: str, name: str, values: Mapping[str, int]) -> Keyword:
    def apply(draft: Draft, argument: str, negated: bool) -> None:
        draft.protocol(protocol, name)
        word = argument.strip().lower()
        if word not in values:
            raise Refused(f'{name}: "{argument}" is not one of {", ".join(values)}')
        draft.rule.tests.append(FieldTest(name, Number("=", values[word])))

    return Keyword(apply, quotes=OPTIONAL)


_YES = {"yes": 1, "true": 1, "on": 1, "1": 1, "no": 0, "false": 0, "off": 0, "0": 0}

KEYWORDS: dict[str, Keyword] = {
    **{name: _field(protocol, name, highest, values) for protocol, name, highest, values in _FIELDS},
    **{name: _words(protocol, name) for protocol, name in _WORDS},
    "ldap.responses.operation": _indexed("ldap", "ldap.responses.operation", U8, names.LDAP_OPERATIONS),
    "ldap.responses.result_code": _indexed("ldap", "ldap.responses.result_code", U32, _NO_NAMES),
    "ftp.mode": _choice("ftp", "ftp.mode", {"active": 0, "passive": 1}),
    "ftp.reply_received": _choice("ftp", "ftp.reply_received", _YES),
    "mqtt.connack.session_present": _choice("mqtt", "mqtt.connack.session_present", _YES),
    "ftpbounce": _bare("ftp", "ftpbounce"),
    "tls.version": Keyword(_tls_version, quotes=OPTIONAL, negation=True),
    "ssl_version": _ssl("ssl_version", SSL_VERSIONS, ","),
    "ssl_state": _ssl("ssl_state", SSL_STATES, "|"),
    "tls.subject": _short("tls", "tls.cert_subject"),
    "tls.issuerdn": _short("tls", "tls.cert_issuer"),
    "tls.fingerprint": _short("tls", "tls.cert_fingerprint", exact=True),
    "tls_cert_notbefore": _validity("tls_cert_notbefore"),
    "tls_cert_notafter": _validity("tls_cert_notafter"),
    "tls_cert_expired": _bare("tls", "tls_cert_expired"),
    "tls_cert_valid": _bare("tls", "tls_cert_valid"),
    "ssh.softwareversion": _short("ssh", "ssh.software"),
    "ssh.protoversion": Keyword(_protoversion, quotes=OPTIONAL),
    "dcerpc.iface": Keyword(_dce_iface),
    "dce_iface": Keyword(_dce_iface),
    "dcerpc.opnum": Keyword(_dce_opnum),
    "dce_opnum": Keyword(_dce_opnum),
    "modbus": Keyword(_modbus),
    "app-layer-event": Keyword(_app_event),
    "app-layer-state": Keyword(_app_state),
    "http2.settings": Keyword(_setting, quotes=OPTIONAL),
}
KEYWORDS |= {alias: KEYWORDS[name] for alias, name in ALIASES.items()}
