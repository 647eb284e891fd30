"""One ruleset in the place of another while flows go on: what the engine remembers of flows stays, what is by rule begins anew."""

from collectors.traffic.rules.engine.engine import Engine


def take_over(fresh: Engine, former: Engine) -> None:
    """Give a fresh engine what the former one knows of flows: conversations, streams, what waits, bits and counters that rules set.

    Thresholds count anew. A count that no rule asked for before begins now.
    """
    fresh._talks, fresh._sessions = former._talks, former._sessions
    streams = fresh._waiting._streams
    fresh._waiting = former._waiting
    fresh._waiting._streams = streams
    if (fresh._counts._counting, fresh._counts._sizing) == (former._counts._counting, former._counts._sizing):
        fresh._counts = former._counts
    fresh.verdicts.memory = fresh.evaluator.memory = former.verdicts.memory
    fresh.verdicts.left = former.verdicts.left
    fresh.verdicts.discarded = former.verdicts.discarded
