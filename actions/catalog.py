"""The actions there are, and the worker that hosts each."""

from contracts.catalog import Entry

CATALOG: tuple[Entry, ...] = (Entry(name="notify", target="actions.notify:Notify", worker="messenger"),)
