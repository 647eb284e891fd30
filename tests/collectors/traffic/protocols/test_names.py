from collectors.traffic.protocols import names
from collectors.traffic.protocols.registry import _PARSERS


def test_every_buffer_belongs_to_known_protocols_and_a_step_that_they_have() -> None:
    for buffer in names.BUFFERS.values():
        assert set(buffer.protocols) <= set(names.PROTOCOLS), buffer.name
        for protocol in buffer.protocols:
            steps = names.progress(protocol)
            for side in (0, 1):
                assert not buffer.sides >> side & 1 or buffer.whole < len(steps[side]), buffer.name


def test_buffers_that_are_filled_have_a_parser() -> None:
    for name in names.FILLED:
        if not name.startswith("quic."):
            assert set(names.BUFFERS[name].protocols) & set(_PARSERS), name


def test_http_names_stand_for_both_versions() -> None:
    assert names.PROTOCOLS["http"] == {"http", "http2", "doh2"} and names.PROTOCOLS["http1"] == {"http"}
