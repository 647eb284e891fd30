"""How often Python looks for garbage that refers to itself: seldom, where packets make a hundred thousand short-lived objects a second.

Parsers let go of themselves when their flow ends (`Parser.release`), so that little of it comes to be.
"""

import gc

YOUNG, MIDDLE, OLD = 500_000, 10, 50
"""Objects more than before until the young are looked at, and how often that until the older ones are, too (Python's own: 700, 10, 10)."""


def seldom() -> None:
    """Set the whole process so: call it when rules are loaded, which then are never looked at again."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
