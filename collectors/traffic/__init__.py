"""Traffic: a sensor of the host's own interfaces, in blocks of packets."""

from collectors.traffic.native import ROOM

ROOM.install()
