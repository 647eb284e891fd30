"""The tests of one buffer, as plain values: contents, expressions, numbers in it, its size."""

from msgspec import Struct

from collectors.traffic.rules.language.values import Number, Where


class Content(Struct, array_like=True, gc=False, tag_field="is", tag="content"):
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


class Pcre(Struct, array_like=True, gc=False, tag_field="is", tag="pcre"):
    """A Perl regular expression over bytes. `flags`: those of `imsxAEGO` that were given.

    `captures` names what the groups are kept as, in order: (`flow` or `pkt`, name); `alert:` prefixes stay in the name.
    """

    pattern: bytes
    flags: str = ""
    negated: bool = False
    relative: bool = False
    captures: tuple[tuple[str, str], ...] = ()
    next_relative: bool = False


class ByteTest(Struct, array_like=True, gc=False, tag_field="is", tag="byte_test"):
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


class ByteJump(Struct, array_like=True, gc=False, tag_field="is", tag="byte_jump"):
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


class ByteExtract(Struct, array_like=True, gc=False, tag_field="is", tag="byte_extract"):
    """A number read from the buffer into variable `name`."""

    nbytes: int
    offset: int
    name: str
    relative: bool = False
    multiplier: int = 1
    endian: str = "big"
    base: int = 0
    align: int = 0


class ByteMath(Struct, array_like=True, gc=False, tag_field="is", tag="byte_math"):
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


class IsDataAt(Struct, array_like=True, gc=False, tag_field="is", tag="isdataat"):
    """Whether the buffer goes on at a place."""

    at: int | str
    negated: bool = False
    relative: bool = False


class Bsize(Struct, array_like=True, gc=False, tag_field="is", tag="bsize"):
    """The size of the whole buffer. An answer may have to wait until the buffer no longer grows."""

    number: Number


class Urilen(Struct, array_like=True, gc=False, tag_field="is", tag="urilen"):
    """The size of the URI (16 bits, cut there); the buffer says whether it is the raw one."""

    number: Number


class Absent(Struct, array_like=True, gc=False, tag_field="is", tag="absent"):
    """The buffer is not there. `or_else`: or what follows holds."""

    or_else: bool = False


class Base64Decode(Struct, array_like=True, gc=False, tag_field="is", tag="base64_decode"):
    """Decode what is here (`bytes` 0: to the end); `Rule.base64` is tested on the result. Matches only if that matches."""

    bytes: int = 0
    offset: int = 0
    relative: bool = False


class Dataset(Struct, array_like=True, gc=False, tag_field="is", tag="dataset"):
    """Look the buffer up in, or add it to, a named set. `cmd`: isset, isnotset, set, unset.

    `values` are what the file holds that `load` (or `state` without it) names (`rules/lists.py`). `state`: the set is kept between runs
    by this name; `save_only`: it is only written there, and begins without it.
    """

    cmd: str
    name: str
    type: str
    load: str = ""
    state: str = ""
    memcap: int = 0
    hashsize: int = 0
    values: dict[bytes, int] = {}
    save_only: bool = False


class Datarep(Struct, array_like=True, gc=False, tag_field="is", tag="datarep"):
    """Compare the reputation of the buffer in a named set; `values` are what the file that `load` names holds."""

    name: str
    op: str
    value: int
    type: str
    load: str = ""
    memcap: int = 0
    hashsize: int = 0
    values: dict[bytes, int] = {}


class Entropy(Struct, array_like=True, gc=False, tag_field="is", tag="entropy"):
    """Shannon's entropy of (a part of) the buffer, bits a byte. `op` as in `Number` but on fractions."""

    op: str
    value: float
    high: float = 0.0
    bytes: int = 0
    offset: int = 0


class Asn1(Struct, array_like=True, gc=False, tag_field="is", tag="asn1"):
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
