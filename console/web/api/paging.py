"""Pages of lists that are read whole: a cursor is the last key of the page before, so changes in between skip nothing."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from litestar.params import QueryParameter

MAX_LIMIT = 1000
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Most rows of one page.")]
T = TypeVar("T")


def page_after(rows: Sequence[T], cursor: str, limit: int, key: Callable[[T], str]) -> tuple[list[T], str]:
    """Return at most `limit` of `rows` (ascending by `key`) whose key is greater than `cursor`, and the next cursor."""
    rest = [row for row in rows if not cursor or key(row) > cursor]
    page = rest[:limit]
    return page, key(page[-1]) if len(rest) > limit else ""
