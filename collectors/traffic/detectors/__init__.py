"""Behaviour: what many packets together say, each detector a fold over batches."""
