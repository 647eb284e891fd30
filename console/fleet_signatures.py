"""The newest signatures in the fleet, as this process has heard in reports; told to every host, so that one that lags knows it."""

from collections.abc import Sequence

import msgspec

from contracts.codec import UNDECODABLE
from contracts.subjects.antivirus import CLAMAV, SUBJECT, Product
from contracts.wire import SubjectPart

_DECODER = msgspec.json.Decoder(Product)
MOST_VERSION = 1 << 31


class FleetSignatures:
    """Keeps the highest version of each product; only of databases whose digital signature the host has verified."""

    def __init__(self) -> None:
        self.newest: dict[str, int] = {}

    def take(self, parts: Sequence[SubjectPart]) -> None:
        """Take what a report says; rows that are not understood say nothing."""
        for part in parts:
            raw = part.put.get(CLAMAV) if part.subject == SUBJECT else None
            if raw is None:
                continue
            try:
                product = _DECODER.decode(raw)
            except UNDECODABLE:
                continue  # of another version of the agent; its page says so
            verified = [
                each.version for each in product.databases if each.name == "daily" and each.signed == "verified"
            ]
            version = max(verified, default=-1)
            if self.newest.get(CLAMAV, -1) < version < MOST_VERSION:
                self.newest[CLAMAV] = version
