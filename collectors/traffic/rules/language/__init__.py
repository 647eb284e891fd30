"""The text of rules and their configuration, read into plain values that know no engine."""
