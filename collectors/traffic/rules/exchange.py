"""One ruleset in the place of another while flows go on: what the engine remembers of flows stays, what is by rule begins anew."""

from collectors.traffic.rules.engine.engine import Engine


def take_over(fresh: Engine, former: Engine) -> None:
    """Give a fresh engine what the former one knows of flows: conversations, streams, what waits, bits and counters that rules set.

    Thresholds count anew. A count that no rule asked for before begins now.
    """
    fresh.take_over(former)
