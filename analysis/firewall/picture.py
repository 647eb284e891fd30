"""One probe explained in lines of text: who sent what, each step on its way, what decided, and where it ends."""

from collections.abc import Iterator, Sequence

from analysis.firewall.probe import Answer, Cause, Probe, Step, Verdict

_WORDS = {
    Verdict.REACHABLE: "reachable",
    Verdict.BLOCKED: "blocked",
    Verdict.UNCERTAIN: "uncertain: it depends on what is not known",
}


def question(probe: Probe) -> str:
    """Return what was asked."""
    way = f"arriving by {probe.interface}" if probe.interface else "sent by this host itself"
    return f"{probe.protocol} from {probe.source} to {probe.destination} port {probe.port}, {way}"


def explained(probe: Probe, answer: Answer, taker: str = "", nobody: str = "", steps: bool = True) -> Iterator[str]:
    """Yield the answer in lines.

    `taker` says who takes the packet where it ends, `nobody` why nobody does, `steps` whether the way is told step by step.
    """
    yield f"Asked:    {question(probe)}"
    yield f"Answer:   {conclusion(answer, nobody)}"
    for name in answer.unknown:
        yield f"Unknown:  {name}"
    end = f"{_host(answer.destination)}:{answer.port}" if answer.destination else ""
    if end and (answer.forwarded or (answer.destination, answer.port) != (probe.destination, probe.port)):
        way = ", forwarded" + (f" by {answer.interface}" if answer.interface else "") if answer.forwarded else ""
        yield f"Sent to:  {end}{way}"
    if taker:
        yield f"Taken by: {taker}"
    for cause in answer.causes:
        yield f"Because:  {_cause(cause)}"
    if steps and answer.steps:
        yield "Way:"
        yield from _way(answer.steps)


def conclusion(answer: Answer, nobody: str = "") -> str:
    """Return the verdict in words; what arrives where `nobody` takes it is not reachable, whatever the rules say."""
    if nobody and answer.verdict is Verdict.REACHABLE:
        return f"let in by the rules, but {nobody}"
    return _WORDS[answer.verdict]


def _way(steps: Sequence[Step]) -> Iterator[str]:
    """Yield the steps, one line each, hooks and chains in columns."""
    hooks = max(len(step.hook) for step in steps)
    chains = max(len(step.chain) for step in steps)
    for number, step in enumerate(steps, start=1):
        handle = f" [handle {step.handle}]" if step.handle else ""
        maybe = "perhaps: " if step.maybe else ""
        yield f"  {number:>3}  {step.hook.ljust(hooks)}  {step.chain.ljust(chains)}  {maybe}{step.text}{handle}"


def _cause(cause: Cause) -> str:
    place = " ".join(part for part in (cause.family, cause.table, cause.chain) if part)
    handle = f" handle {cause.handle}" if cause.handle else ""
    answer = "the answer: " if cause.answer else ""
    return f"{answer}{place}{handle}: {cause.text}" if place else f"{answer}{cause.text}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
