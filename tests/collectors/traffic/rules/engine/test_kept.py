"""What is kept of prefilters comes back as it was, and nothing else is taken for it."""

import msgspec
import pytest

from collectors.traffic.rules.engine.kept import Kept, KeptBuffer, KeptOpen, KeptPrefilters
from collectors.traffic.rules.language.rule import Transform

ONE = Kept(database=b"\x00\xff", starts=b"12345678", rules=b"", lasts=b"", longest=3)


@pytest.mark.parametrize(
    "kept",
    [
        ONE,
        KeptPrefilters(segments=(ONE, ONE), streams=(ONE, ONE), datagrams=(ONE, ONE), others=(ONE, ONE)),
        KeptBuffer(buffer="dns.query", transforms=(Transform(name="to_md5"),), within=True, prefilter=ONE),
        KeptOpen(rule=7, direction=-1, applications=("dns", "doh2")),
    ],
)
def test_it_comes_back_as_it_was(kept: msgspec.Struct) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(kept), type=type(kept)) == kept


def test_what_lacks_a_part_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="lasts"):
        msgspec.msgpack.decode(msgspec.msgpack.encode({"database": b"", "starts": b"", "rules": b""}), type=Kept)
