"""A window as settings write it."""

import msgspec
import pytest

from contracts.maintenance import Window


def test_a_window_is_read_and_a_wrong_time_or_day_is_refused() -> None:
    told = msgspec.json.decode(b'{"begin": "02:00", "end": "04:30", "days": ["sunday"]}', type=Window)
    assert (told.begin, told.days) == ("02:00", ("sunday",))
    for wrong in (b'{"begin": "24:00", "end": "04:30"}', b'{"begin": "02:00", "end": "04:30", "days": ["someday"]}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(wrong, type=Window)
