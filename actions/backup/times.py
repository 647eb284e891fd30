"""Points in time as restic writes them: RFC 3339 with nanoseconds (trailing zeros cut) and the local offset; from and to Unix nanoseconds.

Python's datetime has neither nanoseconds nor the year 0, so the arithmetic is done here.
"""

import re
import time
from functools import lru_cache

_FORM = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
_NS = 1_000_000_000


def format_time(ns: int) -> str:
    """`ns` since 1970 in local time; years beyond 0 to 9999, which the form cannot hold, become the nearest of these, as with restic."""
    seconds, rest = divmod(ns, _NS)
    second, zone = _second(seconds, time.timezone, time.tzname)
    return second + (f".{rest:09d}".rstrip("0") if rest else "") + zone


@lru_cache(maxsize=4096)
def _second(seconds: int, *_: object) -> tuple[str, str]:
    """What stands before and behind the fraction; kept, as many files are of one second. The rest of the key is the time zone in use."""
    local = time.localtime(seconds)
    offset = local.tm_gmtoff
    year, month, day = local.tm_year, local.tm_mon, local.tm_mday
    if not 0 <= year <= 9999:
        year = 0 if year < 0 else 9999
        if (month, day) == (2, 29) and year == 9999:
            month, day = 3, 1
    if offset == 0:
        zone = "Z"
    else:
        hours, minutes = divmod(abs(offset) // 60, 60)
        zone = f"{'-' if offset < 0 else '+'}{hours:02d}:{minutes:02d}"
    return f"{year:04d}-{month:02d}-{day:02d}T{local.tm_hour:02d}:{local.tm_min:02d}:{local.tm_sec:02d}", zone


@lru_cache(maxsize=4096)
def parse_time(text: str) -> int:
    """Nanoseconds since 1970; raises ValueError for what is not such a time. Digits beyond nanoseconds are cut."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time of RFC 3339")
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    fraction, zone = match[7] or "", match[8]
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60):
        raise ValueError(f"{text!r} is not a time of RFC 3339")
    offset = 0
    if zone != "Z":
        offset = (int(zone[1:3]) * 60 + int(zone[4:6])) * (-60 if zone[0] == "-" else 60)
    seconds = _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
    return seconds * _NS + int((fraction + "000000000")[:9])


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar, counting the year from March so that leap days come last."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
