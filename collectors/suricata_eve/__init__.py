"""A Suricata on this host: its own output is followed."""
