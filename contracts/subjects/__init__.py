"""Rows of subjects that more than one package reads: one file per subject, named like it."""
