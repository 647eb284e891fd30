"""What a keyword is to the parser: how its argument may look, and the function that adds it to a draft."""

from collections.abc import Callable
from typing import NamedTuple

from collectors.traffic.rules.language.draft import Draft

Apply = Callable[[Draft, str, bool], None]
"""(draft, argument without its quotes, whether it was negated)."""

NONE, OPTIONAL, NEEDED = 0, 1, 2


class Keyword(NamedTuple):
    """`argument` and `quotes`: none, optional or needed. `negation`: a `!` before the argument is taken off and told apart."""

    apply: Apply
    argument: int = NEEDED
    quotes: int = NONE
    negation: bool = False


def without_effect(draft: Draft, argument: str, negated: bool) -> None:
    """Accept a keyword that changes nothing about what matches."""
