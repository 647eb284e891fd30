"""Reads the `-A` lines of `iptables-save` into parts: what the rule itself says, each match with its options, the target with its.

The grammar is that of `iptables-restore`: words end at white space; a double quote opens text in which a backslash makes the next
character plain and the next double quote ends the word; `!` before an option (or, in old files, after it) turns it round. Which
options take no value, one or two is a table here: only so is `--comment -j` one comment and not a jump.
"""

import re
from typing import NamedTuple

import msgspec

from contracts.errors import Malformed

FLAGS = frozenset(
    """
    syn validmark loose accept-local invert nowildcard transparent restore-skmark rcheck update remove rsource rdest rttl reap soft
    fragmore fraglast fragfirst fragres ahres strict next connlimit-saddr connlimit-daddr socket-exists suppl-groups return-nomatch
    update-counters update-subcounters kerneltz contiguous utc localtz limit-iface-in limit-iface-out hashlimit-rate-match icase random
    random-fully persistent log-tcp-sequence log-tcp-options log-ip-options log-uid log-macdecode notrack save-mark restore-mark save
    restore exist map-mark map-prio map-queue queue-bypass queue-cpu-fanout clamp-mss-to-pmtu sack-perm timestamp checksum-fill
    ecn-tcp-cwr ecn-tcp-ece ecn-tcp-remove physdev-is-in physdev-is-out physdev-is-bridged rt-0-res rt-0-not-strict set new
    rateest-delta shift-add realm-any ecn-cwr ecn-ece genre-any fragment
    """.split()  # noqa: SIM905
)
"""Options without a value."""

PAIRS = frozenset(("tcp-flags", "match-set", "add-set", "del-set", "map-set", "chunk-types"))
"""Options with two values."""

ONES = frozenset(
    """
    sport source-port sports source-ports dport destination-port dports destination-ports ports tcp-option dccp-types dccp-option mss
    icmp-type icmpv6-type state ctstate ctproto ctorigsrc ctorigdst ctreplsrc ctrepldst ctorigsrcport ctorigdstport ctreplsrcport
    ctrepldstport ctstatus ctexpire ctdir src-type dst-type comment src-range dst-range mark uid-owner gid-owner mac-source pkt-type
    length ttl-eq ttl-lt ttl-gt ttl hl-eq hl-lt hl-gt tos dscp dscp-class limit limit-burst hashlimit-upto hashlimit-above hashlimit
    hashlimit-burst hashlimit-mode hashlimit-srcmask hashlimit-dstmask hashlimit-name hashlimit-htable-size hashlimit-htable-max
    hashlimit-htable-expire hashlimit-htable-gcinterval hashlimit-rate-interval seconds hitcount name mask connlimit-above
    connlimit-upto connlimit-mask quota mode probability every packet timestart timestop datestart datestop monthdays weekdays algo from
    to string hex-string u32 bytecode object-pinned dir pol reqid spi proto tunnel-src tunnel-dst physdev-in physdev-out path cgroup
    helper cluster-total-nodes cluster-local-node cluster-local-nodemask cluster-hash-seed src-group dst-group packets-eq packets-lt
    packets-gt bytes-eq bytes-lt bytes-gt connbytes connbytes-dir connbytes-mode label cpu realm nfacct-name genre ttl-mode log
    ecn-ip-ect ahspi ahlen espspi ipcompspi rt-type rt-segsleft rt-len rt-0-addrs hbh-len hbh-opts dst-len dst-opts fragid fraglen header
    mh-type to-destination to-source to-ports reject-with log-prefix log-level nflog-prefix nflog-group nflog-range nflog-size
    nflog-threshold type set-mark set-xmark and-mark or-mark xor-mark nfmask ctmask zone zone-orig zone-reply helper ctevents expevents
    timeout on-port on-ip tproxy-mark set-mss set-tos and-tos or-tos xor-tos set-dscp set-dscp-class set-class ttl-set ttl-dec ttl-inc
    hl-set hl-dec hl-inc queue-num queue-balance wscale strip-options gateway oif ecn-tcp-set hmark-tuple hmark-mod hmark-rnd
    hmark-offset hmark-src-prefix hmark-dst-prefix hmark-sport-mask hmark-dport-mask hmark-spi-mask hmark-proto-mask rateest-name
    rateest-interval rateest-ewmalog selctx led-trigger-id led-delay src-pfx dst-pfx tcp-flag
    """.split()  # noqa: SIM905
)
"""Options with one value, whatever it looks like."""

_BASE = {
    "-s": "source",
    "--src": "source",
    "--source": "source",
    "-d": "destination",
    "--dst": "destination",
    "--destination": "destination",
    "-i": "in-interface",
    "--in-interface": "in-interface",
    "-o": "out-interface",
    "--out-interface": "out-interface",
    "-p": "protocol",
    "--proto": "protocol",
    "--protocol": "protocol",
    "-f": "fragment",
    "--fragment": "fragment",
    "-4": "ipv4",
    "-6": "ipv6",
}
_PLAIN = re.compile(r"[^ \t\n]+")
_WORD = re.compile(r'([^ \t\n"]*)(?:"((?:[^"\\]|\\.)*)"|(".*))?', re.DOTALL)
_NOTHING_AFTER = frozenset(("fragment", "ipv4", "ipv6"))


class Word(NamedTuple):
    """A word of a line; a `quoted` one is never an option."""

    text: str
    quoted: bool = False

    def is_option(self) -> bool:
        """Return whether this can only be an option (`-x`, `--xyz`) or the `!` before one."""
        return not self.quoted and (self.text == "!" or (self.text[:1] == "-" and self.text[1:2] not in "0123456789"))


class Option(msgspec.Struct):
    """One option: `name` without its dashes, its values, and whether `!` turns it round."""

    name: str
    values: tuple[str, ...] = ()
    negated: bool = False

    @property
    def value(self) -> str:
        """Return the first value, or "" when there is none."""
        return self.values[0] if self.values else ""


class Part(msgspec.Struct):
    """A match or target with its options, in the order of the line."""

    name: str
    options: list[Option] = msgspec.field(default_factory=list)

    def get(self, *names: str) -> Option | None:
        """Return the first option of one of these names."""
        return next((option for option in self.options if option.name in names), None)

    def has(self, *names: str) -> bool:
        """Return whether an option of one of these names is there."""
        return self.get(*names) is not None


class Line(msgspec.Struct):
    """One rule: `base` are its own options, `target` is None when it has none; `text` is the line without `-A CHAIN`."""

    text: str
    base: Part
    matches: list[Part] = msgspec.field(default_factory=list)
    target: Part | None = None
    goto: bool = False


def read_line(line: str, chain: str) -> Line:
    """Return what one `-A` line of `chain` says; raises `Malformed` for one that iptables could not have meant."""
    prefix = f"-A {chain}"
    body = line.removeprefix(prefix) if line == prefix or line.startswith(prefix + " ") else line
    body = body.strip()
    parsed = Line(text=body, base=Part(""))
    _Reader(words(body), parsed).read()
    return parsed


def words(line: str) -> list[Word]:
    """Return the words of a line; raises `Malformed` for a quote that nothing closes."""
    if '"' not in line:
        return [Word(text) for text in _PLAIN.findall(line)]
    found: list[Word] = []
    for match in _WORD.finditer(line):
        plain, quoted, rest = match.groups()
        if rest:
            raise Malformed(f"a quote that nothing closes: {_short(rest)}")
        if quoted is not None:
            found.append(Word(plain + _unescaped(quoted), quoted=True))
        elif plain:
            found.append(Word(plain))
    return found


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    out: list[str] = []
    characters = iter(text)
    for character in characters:
        out.append(next(characters, "") if character == "\\" else character)
    return "".join(out)


class _Reader:
    """Walks over the words of one line and fills in a `Line`."""

    def __init__(self, found: list[Word], line: Line) -> None:
        self.words = found
        self.line = line
        self.section = line.base
        self.at = 0

    def read(self) -> None:
        negated = False
        while self.at < len(self.words):
            word = self.words[self.at]
            self.at += 1
            if not word.quoted and word.text == "!":
                negated = not negated
                continue
            if not word.is_option():
                raise Malformed(f"{_short(word.text)} belongs to no option")
            self._option(word.text, negated)
            negated = False
        if negated:
            raise Malformed("a `!` that nothing follows")

    def _option(self, text: str, negated: bool) -> None:
        if text in ("-m", "--match"):
            self.section = Part(self._value(text))
            self.line.matches.append(self.section)
        elif text in ("-j", "--jump", "-g", "--goto"):
            if self.line.target is not None:
                raise Malformed("two targets")
            self.line.target = self.section = Part(self._value(text))
            self.line.goto = text in ("-g", "--goto")
        elif text in _BASE and not (text.startswith("--") and self.section is not self.line.base):
            name = _BASE[text]
            self.line.base.options.append(self._filled(name, 0 if name in _NOTHING_AFTER else 1, negated))
        elif text.startswith("--"):
            name = text[2:]
            self.section.options.append(self._filled(name, self._arity(name), negated))
        else:
            raise Malformed(f"no option of iptables: {_short(text)}")

    def _arity(self, name: str) -> int | None:
        """Return how many values an option takes; None for one nobody knows, whose values are what does not look like an option."""
        if name in FLAGS:
            return 0
        if name in PAIRS:
            return self._pair(name)
        return 1 if name in ONES else None

    def _pair(self, name: str) -> int:
        """Return 2, or less where the words end: the chunk types of sctp may be followed by no list."""
        rest = self.words[self.at : self.at + 2]
        return sum(1 for word in rest if not word.is_option()) if name == "chunk-types" else 2

    def _filled(self, name: str, arity: int | None, negated: bool) -> Option:
        if arity == 0:
            return Option(name, (), negated)
        if self.at < len(self.words) and self.words[self.at] == Word("!") and self.at + 1 < len(self.words):
            self.at += 1
            negated = not negated
        if arity is None:
            return Option(name, self._all(), negated)
        return Option(name, tuple(self._value(f"--{name}") for _ in range(arity)), negated)

    def _all(self) -> tuple[str, ...]:
        values: list[str] = []
        while self.at < len(self.words) and not self.words[self.at].is_option():
            values.append(self.words[self.at].text)
            self.at += 1
        return tuple(values)

    def _value(self, option: str) -> str:
        if self.at >= len(self.words):
            raise Malformed(f"{_short(option)} without its value")
        self.at += 1
        return self.words[self.at - 1].text


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
