"""Links with their addresses, routes, routing rules and switches for the subject `datapath`, as iproute2 and /proc/sys state them."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from collectors.firewall.datapath_rows import Sheet, compact
from contracts.codec import UNDECODABLE
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.text import escape

FAMILIES = (4, 6)
_SYS = "/proc/sys/net"
_FIX = "Install the package iproute2."
_MAX_BYTES = 48 << 20
_FLEETING = frozenset(
    {"valid_life_time", "preferred_life_time", "promiscuity", "allmulti", "expires", "age", "used", "users", "cache"}
)
"""What ip prints that counts down or up by itself, or says who listens."""
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_NO_IPV6 = (b"not supported", b"disabled")

ALONE = (
    "ipv4/ip_forward",
    "ipv4/ip_nonlocal_bind",
    "ipv4/fwmark_reflect",
    "ipv4/tcp_fwmark_accept",
    "ipv4/tcp_l3mdev_accept",
    "ipv4/udp_l3mdev_accept",
    "ipv6/ip_nonlocal_bind",
    "ipv6/fwmark_reflect",
    "netfilter/nf_conntrack_tcp_loose",
    "bridge/bridge-nf-call-iptables",
    "bridge/bridge-nf-call-ip6tables",
    "bridge/bridge-nf-call-arptables",
)
"""Switches there is one of; those that the kernel has not got are left out."""

OF_LINKS = {
    4: ("forwarding", "rp_filter", "accept_local", "route_localnet", "src_valid_mark", "arp_ignore", "arp_filter"),
    6: ("forwarding", "force_forwarding", "disable_ipv6"),
}
"""Switches there is one of for each link, and for `all` and `default`; few, because there may be a thousand links."""


def read(host: ReadOnlyHost, sheet: Sheet, max_routes: int) -> None:
    """Put everything on `sheet`; what cannot be read is a blind spot that says what follows from it."""
    has_ipv6 = put_switches(host, sheet)
    for what, names, argv in _questions(has_ipv6):
        try:
            answer = _ask(host, *argv)
            entries = [_entry(raw) for raw in answer[: max_routes if what == "route" else None]]
        except Unavailable as error:
            fix = _FIX if error.why is Why.TOOL_MISSING else error.advice
            follows = f"{_title(what, names)}, so that exposure is uncertain"
            sheet.missing(follows, error.why, error.message, fix)
            sheet.put(what, *names, text="".join(names), unread=error.message)
            continue
        if what == "route" and len(answer) > max_routes:
            _too_many(sheet, names, len(answer), max_routes)
        for entry in entries:
            _put(sheet, what, names, entry)


def put_switches(host: ReadOnlyHost, sheet: Sheet) -> bool:
    """Put the sysctls on `sheet` and say whether the kernel speaks IPv6."""
    links: dict[int, list[bytes]] = {}
    unread: list[Unavailable] = []
    for family in FAMILIES:
        try:
            links[family] = sorted(host.files.names(f"{_SYS}/ipv{family}/conf"))
        except Unavailable as error:
            links[family] = []
            if family == 4 or error.why is not Why.NOT_PRESENT:
                unread.append(error)
    names = [(path, "net." + path.replace("/", ".")) for path in ALONE]
    for family, found in links.items():
        for link in found:
            text = escape(link)
            folder = f"ipv{family}/conf/{link.decode(errors='surrogateescape')}"
            names += [(f"{folder}/{name}", f"net.ipv{family}.conf.{text}.{name}") for name in OF_LINKS[family]]
    for path, name in names:
        try:
            value = escape(host.files.read(f"{_SYS}/{path}", max_bytes=4096)).strip()
        except Unavailable as error:
            if error.why is not Why.NOT_PRESENT:  # a kernel without it, or a link that has just gone
                unread.append(error)
            continue
        sheet.put("switch", name, text=value)
    if unread:
        what = f"{len(unread)} switches of the network (sysctl), so that exposure is uncertain"
        sheet.missing(what, unread[0].why, unread[0].message, unread[0].advice)
    return bool(links[6]) or any(error.why is not Why.NOT_PRESENT for error in unread)


def _questions(has_ipv6: bool) -> Iterable[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Yield what a row is, the names in its key, and the words to ask ip."""
    yield "link", (), ("-j", "-d", "addr")
    for family in FAMILIES if has_ipv6 else FAMILIES[:1]:
        yield "route", (str(family),), ("-j", f"-{family}", "route", "show", "table", "all")
        yield "routing-rule", (str(family),), ("-j", f"-{family}", "rule")


def _ask(host: ReadOnlyHost, *arguments: str) -> list[msgspec.Raw]:
    """Return what ip answers, one by one and not yet taken apart; raises `Unavailable`."""
    line = f"ip {' '.join(arguments)}"
    answer = host.commands.ask("ip", *arguments, max_bytes=_MAX_BYTES)
    if answer.code != 0:
        if "-6" in arguments and any(words in answer.stderr for words in _NO_IPV6):
            return []
        said = (escape(answer.stderr).strip().splitlines() or [f"exit code {answer.code}"])[0]
        if "-j" in said or "Option" in said:
            raise Unavailable(Why.INCOMPATIBLE, f"{line}: {said}", advice="Install iproute2 4.18 or newer.")
        raise Unavailable(Why.OTHER, f"{line}: {said}", advice=f"Run `{line}` by hand.")
    try:
        return msgspec.json.decode(_text(answer.stdout) or "[]", type=list[msgspec.Raw])
    except UNDECODABLE as error:
        raise Unavailable(Why.MALFORMED, f"{line} prints no JSON: {error}", advice=f"Run `{line}` by hand.") from error


def _entry(raw: msgspec.Raw) -> dict[str, Any]:
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except UNDECODABLE as error:
        message = f"ip prints what is no object: {bytes(raw)[:80]!r}"
        raise Unavailable(Why.MALFORMED, message, advice="Look at what `ip -j` prints.") from error


def _text(raw: bytes) -> str:
    r"""Return JSON as text: a link's name is bytes, which ip prints as they are; what is not UTF-8 becomes `\xNN`."""
    return _NOT_UTF8.sub(lambda found: rf"\\x{ord(found[0]) - 0xDC00:02x}", raw.decode("utf-8", "surrogateescape"))


def _put(sheet: Sheet, what: str, names: tuple[str, ...], entry: dict[str, Any]) -> None:
    document = compact(_settled(entry)).decode()
    if what == "link":
        if "ifname" in entry:  # ip prints an empty object for what another option left out
            sheet.put_next("link", str(entry["ifname"]), document=document)
        return
    if not entry:
        return
    words = (entry.get("table", ""), entry.get("priority", ""), entry.get("dst", entry.get("src", "")))
    place = [str(word) for word in (*words, entry.get("dev", "")) if word != ""]
    sheet.put_next(what, *names, *place, document=document, text=names[0])


def _settled(value: Any) -> Any:
    """Return `value` without what changes by itself."""
    if isinstance(value, dict):
        return {
            name: _settled(inner)
            for name, inner in value.items()
            if name not in _FLEETING and not name.endswith("_timer")
        }
    return [_settled(inner) for inner in value] if isinstance(value, list) else value


def _too_many(sheet: Sheet, names: tuple[str, ...], count: int, most: int) -> None:
    sheet.put("route", *names, text=names[0], unread=f"{count} routes, more than {most}")
    what = f"{count - most} IPv{names[0]} routes, so that exposure is uncertain"
    sheet.missing(what, Why.TOO_LARGE, f"more than {most}", "Raise collectors.datapath.max_routes.")


def _title(what: str, names: tuple[str, ...]) -> str:
    return {"link": "links and addresses", "route": f"IPv{''.join(names)} routes"}.get(
        what, f"IPv{''.join(names)} routing rules"
    )


def documents(sheet: Sheet, what: str) -> list[tuple[str, dict[str, Any]]]:
    """Return text and decoded document of every row that is `what`; raises `Malformed`."""
    try:
        return [
            (row.text, msgspec.json.decode(row.document, type=dict[str, Any]))
            for row in sheet.rows.values()
            if row.what == what and row.document
        ]
    except UNDECODABLE as error:
        raise Malformed(f"a row of {what} is no JSON: {error}") from error
