"""The packet filter as read from the kernel's tools, before it becomes rows: tables with their chains, sets and objects."""

from hashlib import blake2b

import msgspec

NFTABLES = "nftables"
IPTABLES_NFT = "iptables-nft"
IPTABLES_LEGACY = "iptables-legacy"

UNREAD = "more than "
"""How the digest of a set begins whose elements are too many to read."""


class Chain(msgspec.Struct):
    """One chain; `hook` is empty for a chain that is only jumped to. `rules` are texts in the kernel's order.

    `other_words` holds, where two tools state the same rules, each rule as the other tool does.
    """

    name: str
    rules: list[str]
    type: str = ""
    hook: str = ""
    priority: int | None = None
    policy: str = ""
    device: str = ""
    other_words: list[str] = msgspec.field(default_factory=list)
    _found: list[tuple[int, str]] | None = None

    def unconditional(self, starts: tuple[str, ...]) -> list[tuple[int, str]]:
        """Return the rules that begin with one of `starts`, with their place from 1; found once, because chains can be long."""
        if self._found is None:
            self._found = [(place, rule) for place, rule in enumerate(self.rules, start=1) if rule.startswith(starts)]
        return self._found

    def digest(self) -> str:
        """Return a digest of the rules in their order, in every tool's words."""
        return short_digest("\n".join([*self.rules, "", *self.other_words] if self.other_words else self.rules))


class Part(msgspec.Struct):
    """A set, map or named object: `sort` is what nft calls it (`set`, `map`, `ct helper` …), `definition` its lines.

    `digest` and `elements` are of a set's content, empty where it was not looked at (`fleeting`: elements come and go by design).
    """

    sort: str
    name: str
    definition: tuple[str, ...]
    digest: str = ""
    elements: int | None = None

    @property
    def is_set(self) -> bool:
        """Whether it holds elements."""
        return self.sort in ("set", "map")

    @property
    def fleeting(self) -> bool:
        """Whether packets or time-outs change its elements, so that they are not part of what was configured."""
        flags = " ".join(line for line in self.definition if line.startswith("flags "))
        return "dynamic" in flags or "timeout" in flags


class Table(msgspec.Struct):
    """One table; `source` is the tool in whose words its rules are."""

    family: str
    name: str
    source: str = NFTABLES
    flags: str = ""
    chains: list[Chain] = msgspec.field(default_factory=list)
    parts: list[Part] = msgspec.field(default_factory=list)

    @property
    def dormant(self) -> bool:
        """Whether the kernel keeps the table out of every packet's way."""
        return "dormant" in self.flags


def short_digest(text: str) -> str:
    """Return 16 hex digits that stand for `text`."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
