"""The child process that plans for the core: `python -m agent.plan_child PATH` writes one `agent.plan.Answer`."""

import sys
from pathlib import Path

import msgspec

from agent import plan
from settings.errors import ConfigErrors


def answer(path: Path) -> plan.Answer:
    """Return the plan for the configuration in `path`, or what is wrong with it."""
    from agent import wiring

    try:
        return plan.Answer(plan=wiring.plan(path))
    except ConfigErrors as error:
        return plan.Answer(errors=tuple(error.items))


def main() -> None:
    """Answer on standard output."""
    sys.stdout.buffer.write(msgspec.msgpack.encode(answer(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
