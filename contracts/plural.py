"""Numbers with what they count, as people read them."""


def plural(count: int, one: str, many: str = "") -> str:
    """Return `1 rule`, or `3 rules`; `many` where it is not `one` with an s."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"
