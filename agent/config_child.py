"""The child process that reads the configuration for the core: `python -m agent.config_child PATH` writes one `ChildAnswer`."""

import sys
from pathlib import Path

import msgspec

from agent import config
from agent.settings import Vocabulary
from settings.errors import ConfigErrors


def answer(path: Path, vocabulary: Vocabulary) -> config.ChildAnswer:
    """Return what is in `path`, or what is wrong with it."""
    try:
        loaded = config.load_agent(path, vocabulary)
    except ConfigErrors as error:
        return config.ChildAnswer(errors=error.items)
    return config.ChildAnswer(settings=config.encode(loaded.value))


def main() -> None:
    """Answer on standard output."""
    from agent import wiring

    body = msgspec.msgpack.encode(answer(Path(sys.argv[1]), wiring.vocabulary()))
    sys.stdout.buffer.write(body)


if __name__ == "__main__":
    main()
