"""The registered domain and the public suffix of a name, by the public suffix list (publicsuffix.org), private entries included."""

from functools import cache

from publicsuffixlist import PublicSuffixList

LONGEST_NAME = 255


@cache
def _list() -> PublicSuffixList:
    """Return the list that comes with the library; read when the first rule needs it."""
    return PublicSuffixList()


def domain(data: bytes) -> bytes:
    """Return the registered domain (`example.co.uk`) of a name, or the name itself where it has none."""
    return _part(data, suffix_only=False)


def tld(data: bytes) -> bytes:
    """Return the public suffix (`co.uk`) of a name, or the name itself where it has none."""
    return _part(data, suffix_only=True)


def _part(data: bytes, suffix_only: bool) -> bytes:
    """Names are compared as they are on the wire, in lower case; what is returned is cut out of the bytes as they were."""
    if not data or len(data) > LONGEST_NAME:
        return data
    labels = tuple(data.lower().split(b"."))
    if not all(labels):
        return data
    found = _list().publicsuffix(labels) if suffix_only else _list().privatesuffix(labels)
    if not found:
        return data
    size = sum(len(label) for label in found) + len(found) - 1
    return data[-size:]
