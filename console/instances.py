"""Noticing a cloned identity: an instance that was superseded by another speaks again.

Every start of an agent's core has a random instance. After a restart the old one is never heard again; when it is, two agents are running.
"""

from collections import OrderedDict

REMEMBERED = 8


class Instances:
    """The instances heard per agent, newest last."""

    def __init__(self) -> None:
        self._heard: dict[str, OrderedDict[str, None]] = {}

    def is_duplicate(self, agent: str, instance: str) -> bool:
        """Note that `instance` of `agent` was heard; return whether it had been superseded."""
        heard = self._heard.setdefault(agent, OrderedDict())
        returned = instance in heard and next(reversed(heard)) != instance
        heard[instance] = None
        heard.move_to_end(instance)
        while len(heard) > REMEMBERED:
            heard.popitem(last=False)
        return returned
