"""Traffic: a sensor of the host's own interfaces, in blocks of packets."""
