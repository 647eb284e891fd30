"""Reputation of addresses (`iprep`): the lists that name it, in Suricata's formats, and the addresses that a rule means.

Categories: `number,short name,description` by line, numbers from 1 to 59. Reputations: `address or network,number of a category,score`,
scores from 0 to 127. An address by itself counts before the networks it is in, a narrow network before a wide one. Empty lines, and
those that begin with `#` or a space, say nothing; neither does a headline (`ip,category,score`).
"""

from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address, ip_network

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.rule import Addresses, IpRep, Number, Rule
from collectors.traffic.rules.language.values import packed
from contracts.plural import plural

MOST_CATEGORIES = 60
HIGHEST = 127
MOST = 1_000_000
"""Addresses and networks of all lists together."""
MOST_NOTES = 20
"""Lines of one file that say nothing and are named one by one; of the others the number is told."""

_Scores = dict[tuple[int, int], int]
"""Score by first and last address."""


class Reputation:
    """What the lists of a site say. `notes` are lines that are not as the formats have them; they are left out."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._categories: dict[str, int] = {}
        self._networks: dict[tuple[int, int], _Scores] = {}
        """By category and version of IP."""
        self._hosts: dict[tuple[int, int], _Scores] = {}
        self._flat: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
        """The ranges of those that were asked for, each with its score."""
        self._count = 0
        self._sets: dict[tuple[str, str, int], Addresses] = {}

    def categories(self, content: bytes, path: str) -> None:
        """Take a file of categories."""
        self._read(content, path, self._category)

    def scores(self, content: bytes, path: str) -> None:
        """Take a file of reputations; raises `ValueError` when that makes more than `MOST` in all."""
        self._flat.clear()
        self._read(content, path, self._score)

    def resolve(self, rule: Rule) -> None:
        """Give the tests of a rule the addresses that they mean; raises `Refused` for a category that no file names."""
        for test in rule.tests:
            if isinstance(test, IpRep):
                if test.category not in self._categories:
                    known = f"; known are {', '.join(sorted(self._categories)[:10])}" if self._categories else ""
                    raise Refused(f"iprep: no file of categories names {test.category}{known}")
                test.listed = self._set(test)

    def _read(self, content: bytes, path: str, take: Callable[[list[str]], None]) -> None:
        wrong = 0
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), start=1):
            if not line or line[0] in "# \t":
                continue
            fields = [field.strip() for field in line.split(",")]
            if fields[0] == "ip":
                continue
            try:
                take(fields)
            except _TooMany:
                raise ValueError(f"line {number}: more than {MOST:,} addresses and networks in all lists") from None
            except ValueError as error:
                wrong += 1
                if wrong <= MOST_NOTES:
                    self.notes.append(f"{path}:{number}: {error}")
        if wrong > MOST_NOTES:
            self.notes.append(
                f"{path}: {plural(wrong - MOST_NOTES, 'more line is', 'more lines are')} not as the format has them"
            )

    def _category(self, fields: list[str]) -> None:
        if len(fields) < 2 or not fields[1]:
            raise ValueError("not a number, a name and a description")
        self._categories[fields[1]] = _number(fields[0], 1, MOST_CATEGORIES - 1, "the category")

    def _score(self, fields: list[str]) -> None:
        if len(fields) < 3:
            raise ValueError("not an address, a category and a score")
        category = _number(fields[1], 0, MOST_CATEGORIES - 1, "the category")
        score = _number(fields[2], 0, HIGHEST, "the score")
        if self._count >= MOST:
            raise _TooMany
        self._count += 1
        if "/" in fields[0]:
            network = ip_network(fields[0], strict=False)
            ends = int(network.network_address), int(network.broadcast_address)
            self._networks.setdefault((category, network.version), {}).setdefault(ends, score)
        else:
            address = ip_address(fields[0])
            self._hosts.setdefault((category, address.version), {})[int(address), int(address)] = score

    def _set(self, test: IpRep) -> Addresses:
        """Return the addresses for which a test holds; those that have a score at all for `isset` and `isnotset`."""
        key = (test.category, test.op, test.value)
        found = self._sets.get(key)
        if found is None:
            number = Number(">=", 0) if test.op in ("isset", "isnotset") else Number(test.op, test.value)
            v4, v6 = (tuple(self._ranges(self._categories[test.category], version, number)) for version in (4, 6))
            found = self._sets[key] = Addresses(any=False, v4=v4, packed_v6=packed(v6))
        return found

    def _ranges(self, category: int, version: int, number: Number) -> Iterator[tuple[int, int]]:
        """Yield the ranges of addresses whose score is such a number, in order, as wide as they go."""
        of = (category, version)
        if of not in self._flat:
            self._flat[of] = list(_flat({**self._networks.get(of, {}), **self._hosts.get(of, {})}.items()))
        begin = end = -1
        for low, high, score in self._flat[of]:
            if not number.holds(score):
                continue
            if low != end + 1 or end < 0:
                if end >= 0:
                    yield begin, end
                begin = low
            end = high
        if end >= 0:
            yield begin, end


class _TooMany(Exception):
    """There are more entries than are kept."""


def _number(text: str, low: int, high: int, what: str) -> int:
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise ValueError(f'{what} "{text[:40]}" is not a number from {low} to {high}')
    return int(text)


def _flat(scores: Iterable[tuple[tuple[int, int], int]]) -> Iterator[tuple[int, int, int]]:
    """Yield ranges that lie beside each other, each with the score of the narrowest given range that it is in; networks nest."""
    open_ranges: list[tuple[int, int]] = []
    at = 0
    for (low, high), score in sorted(scores, key=lambda one: (one[0][0], -one[0][1])):
        while open_ranges and open_ranges[-1][0] < low:
            end, inner = open_ranges.pop()
            if at <= end:
                yield at, end, inner
                at = end + 1
        if open_ranges and at < low:
            yield at, low - 1, open_ranges[-1][1]
        at = low
        open_ranges.append((high, score))
    while open_ranges:
        end, inner = open_ranges.pop()
        if at <= end:
            yield at, end, inner
            at = end + 1
