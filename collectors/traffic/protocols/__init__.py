"""Protocols: what is said over a flow, found by content and cut into transactions with named buffers."""
