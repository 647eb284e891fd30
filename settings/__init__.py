"""Typed settings out of YAML: positions in every error, one schema for checking, samples and reference."""
