"""A declared time of maintenance, as settings write it."""

from typing import Annotated, Literal

from msgspec import Meta

from contracts.options import Clock
from contracts.record import Record

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAYS: tuple[Day, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Window(Record):
    """From `begin` to `end` of the days named, in local time; one that ends before it begins goes over midnight."""

    begin: Annotated[Clock, Meta(description="When it begins.", examples=["02:00"])]
    end: Annotated[Clock, Meta(description="When it ends.", examples=["04:30"])]
    days: Annotated[tuple[Day, ...], Meta(description="On which days it begins; none named is every day.")] = ()
    why: Annotated[str, Meta(description="What for; it is told with what changes then.")] = ""
