"""Detection rules in Suricata's language: read, matched, and evaluated over packets, streams and transactions."""
