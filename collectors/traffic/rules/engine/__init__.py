"""The evaluation of rules: prefilters over blocks, then whole rules with the state of their flows."""
