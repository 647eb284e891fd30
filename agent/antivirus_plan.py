"""When antivirus deeds run, read off the settings: pure, for the child that plans; and what its judge is to know of them."""

from typing import Any

from agent.backup_plan import delayed
from agent.timed import Timed

PROOF = "antivirus proof"


def antivirus_plan(options: Any, machine_id: str) -> tuple[float, dict[str, Timed]]:
    """How long a proof counts (0 where none is asked for), and the deeds of the `antivirus` section with a time of day."""
    if options is None or not options.enabled:
        return 0.0, {}
    timed: dict[str, Timed] = {}
    for number, at in enumerate(options.update.at):
        timed[f"antivirus update {number + 1}"] = Timed(
            action="update_signatures",
            arguments={},
            at=delayed(at, options.update.splay, f"{machine_id}/antivirus-update"),
            retries=2,
        )
    if options.scan.enabled:
        at = delayed(options.scan.at, options.scan.splay, f"{machine_id}/antivirus-scan")
        timed["antivirus scan"] = Timed(action="scan", arguments={"delta": True}, at=at, retries=2)
    if not options.proof.enabled:
        return 0.0, timed
    at = delayed(options.proof.at, options.proof.splay, f"{machine_id}/antivirus-proof")
    timed[PROOF] = Timed(action="antivirus_prove", arguments={"step": "plant"}, at=at, retries=1)
    return float(options.proof.valid), timed
