"""What brings the confirmed policy back after a boot: from the worker's saved file alone to one nft transaction."""

from actions.policy import store
from analysis.firewall.policy import script

FILE = store.POLICY


def restore_script(saved: bytes, now_ms: int, lists: bytes = b"") -> str:  # noqa: ARG001  # the same call for all that comes back
    """Return the transaction that loads the policy in `saved`, the content of `FILE`: "" when none is confirmed.

    Raises `store.Damaged`.
    """
    policy = store.decode(saved, FILE, store.Saved).policy
    return "" if policy is None else script(policy)
