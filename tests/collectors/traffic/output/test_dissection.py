"""What people see of a capture."""

import pytest

from collectors.traffic.output.dissection import dissect
from tests.collectors.traffic.rules.engine import scene


def test_each_packet_is_a_line_and_all_fields_are_there_when_asked_for() -> None:
    capture = scene.capture([scene.udp(b"a needle"), scene.udp(b"hay")]).getvalue()
    lines = list(dissect(capture))
    assert len(lines) == 2 and lines[0].startswith("1  ") and "UDP" in lines[1]
    full = "\n".join(dissect(capture, full=True))
    assert "sport" in full and "needle" in full


def test_what_is_no_capture_is_said() -> None:
    with pytest.raises(ValueError, match="not a capture"):
        list(dissect(b"no capture at all, but long enough"))
