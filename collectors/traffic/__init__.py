"""Traffic: a sensor of the host's own interfaces, in blocks of packets."""

from collectors.traffic import native

native.install()
