"""Decode: the headers of a whole block of packets at once, into columns."""
