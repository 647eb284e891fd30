"""Flows: which packets belong together, for a whole block at once, in bounded memory."""
