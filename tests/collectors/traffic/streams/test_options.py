"""The defaults are Suricata's stock configuration."""

from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.policy import Policy


def test_defaults() -> None:
    options = StreamOptions()
    assert (options.inline, options.midstream, options.async_oneside, options.depth) == (False, False, False, 1 << 20)
    assert (options.policy_v4, options.policy_v6) == (Policy.WINDOWS, Policy.BSD)
