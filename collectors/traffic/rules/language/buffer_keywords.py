"""Keywords that name a buffer: sticky ones before what is tested, the old ones behind a content, and transforms of a buffer."""

# ruff: noqa: ARG001 - every keyword is called with the same arguments

from collectors.traffic.rules.language.buffers import BUFFERS, MODIFIERS, NO_KEYWORDS, STICKY_ALIASES
from collectors.traffic.rules.language.draft import Draft
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.keyword import NONE, OPTIONAL, Keyword
from collectors.traffic.rules.language.numbers import U32, integer, size
from collectors.traffic.rules.language.rule import Transform

PLAIN_TRANSFORMS = [
    "compress_whitespace",
    "strip_whitespace",
    "strip_pseudo_headers",
    "header_lowercase",
    "to_lowercase",
    "to_uppercase",
    "to_md5",
    "to_sha1",
    "to_sha256",
    "dotprefix",
    "url_decode",
    "domain",
    "tld",
]


SIDED = frozenset(
    [
        "file.data",
        "file.name",
        "file.magic",
        "http.accept",
        "http.accept_lang",
        "http.accept_enc",
        "http.connection",
        "http.content_len",
        "http.content_type",
        "http.referer",
    ]
)
"""Buffers behind which a rule about a whole transaction (`=>`) says whose it means."""


def _sticky(name: str) -> Keyword:
    buffer = BUFFERS[name]

    def apply(draft: Draft, argument: str, negated: bool) -> None:
        if argument not in {"", "to_server", "to_client"}:
            raise Refused(f'{name}: "{argument}" is neither to_server nor to_client')
        draft.stick(buffer, argument)

    return Keyword(apply, OPTIONAL if name in SIDED else NONE)


def _response_body(draft: Draft, argument: str, negated: bool) -> None:
    """The body of a response is the data of the file that HTTP brings to the client: one buffer by two names."""
    draft.protocol("http", "http.response_body")
    draft.stick(BUFFERS["file.data"], "to_client")


def _modifier(keyword: str, name: str) -> Keyword:
    buffer = BUFFERS[name]

    def apply(draft: Draft, argument: str, negated: bool) -> None:
        if draft.sticky:
            raise Refused(f"{keyword} cannot follow the sticky buffer {draft.sticky}; pkt_data ends it")
        content, test = draft.last_content(keyword)
        if test is not draft.rule.payload:
            raise Refused(f"{keyword}: its content belongs to {test.buffer} already")
        if keyword == "http_server_body":
            draft.protocol("http", keyword)
        draft.move(content, test, buffer, "to_client" if keyword == "http_server_body" else "")

    return Keyword(apply, NONE)


def _transform(name: str) -> Keyword:
    def apply(draft: Draft, argument: str, negated: bool) -> None:
        draft.transform(Transform(name))

    return Keyword(apply, NONE)


def _xor(draft: Draft, argument: str, negated: bool) -> None:
    word = argument.strip()
    try:
        key = bytes.fromhex(word)
    except ValueError:
        later = word.split()[:1] in (["offset"], ["var"])
        more = " (offset and var are of versions after Suricata 8)" if later else ""
        raise Refused(f'xor: "{word}" is not a hexadecimal key{more}') from None
    if not 1 <= len(key) <= 255 or " " in word:
        raise Refused("xor: a key has 1 to 255 bytes")
    draft.transform(Transform("xor", word.lower()))


def _pcrexform(draft: Draft, argument: str, negated: bool) -> None:
    if not argument:
        raise Refused("pcrexform: the expression is empty")
    draft.transform(Transform("pcrexform", argument))


def _from_base64(draft: Draft, argument: str, negated: bool) -> None:
    given = {"bytes": "0", "offset": "0", "mode": "rfc4648"}
    for item in (part.strip() for part in argument.split(",") if part.strip()):
        word, _, value = item.partition(" ")
        if word not in given:
            raise Refused(f'from_base64: "{item}" is not known')
        given[word] = value.strip()
    if given["mode"].lower() not in {"rfc2045", "rfc4648", "strict"}:
        raise Refused(f'from_base64: "{given["mode"]}" is not a mode')
    words = f"bytes={integer(given['bytes'], 0, U32)},offset={integer(given['offset'], 0, U32)},mode={given['mode'].lower()}"
    draft.transform(Transform("from_base64", words))


def _inflate(name: str) -> Keyword:
    def apply(draft: Draft, argument: str, negated: bool) -> None:
        most = 1024
        for item in (part.strip() for part in argument.split(",") if part.strip()):
            key, equal, value = item.replace(" ", "=", 1).partition("=")
            if key != "max-size" or not equal:
                raise Refused(f'{name}: "{item}" is not max-size=…')
            most = size(value, U32)
            if not most:
                raise Refused(f"{name}: max-size 0 leaves nothing")
        draft.transform(Transform(name, str(most)))

    return Keyword(apply, OPTIONAL)


def _lua(keyword: str) -> Keyword:
    def apply(draft: Draft, argument: str, negated: bool) -> None:
        raise Refused(f"{keyword}: rules run no scripts here")

    return Keyword(apply, OPTIONAL)


def _frame(draft: Draft, argument: str, negated: bool) -> None:
    raise Refused("frame: frames of protocols are not buffers here")


def _table() -> dict[str, Keyword]:
    table = {name: _sticky(name) for name in BUFFERS if name not in NO_KEYWORDS}
    table |= {alias: _sticky(name) for alias, name in STICKY_ALIASES.items()}
    table |= {keyword: _modifier(keyword, name) for keyword, name in MODIFIERS.items()}
    table |= {name: _transform(name) for name in PLAIN_TRANSFORMS}
    return table


KEYWORDS: dict[str, Keyword] = {
    **_table(),
    "http.response_body": Keyword(_response_body, NONE),
    "xor": Keyword(_xor, quotes=OPTIONAL),
    "pcrexform": Keyword(_pcrexform, quotes=OPTIONAL),
    "from_base64": Keyword(_from_base64, OPTIONAL),
    "gunzip": _inflate("gunzip"),
    "zlib_deflate": _inflate("zlib_deflate"),
    "luaxform": _lua("luaxform"),
    "lua": _lua("lua"),
    "luajit": _lua("luajit"),
    "frame": Keyword(_frame),
}
