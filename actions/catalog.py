"""The actions there are, and the worker that hosts each."""

from contracts.catalog import Entry

CATALOG: tuple[Entry, ...] = (
    Entry(name="notify", target="actions.notify:Notify", worker="messenger"),
    Entry(name="policy_apply", target="actions.policy.apply:PolicyApply", worker="netfilter"),
    Entry(name="policy_confirm", target="actions.policy.confirm:PolicyConfirm", worker="netfilter"),
    Entry(name="policy_revert", target="actions.policy.revert:PolicyRevert", worker="netfilter"),
    Entry(name="guard_save", target="actions.policy.guard:GuardSave", worker="netfilter"),
    Entry(name="guard_restore", target="actions.policy.guard:GuardRestore", worker="netfilter"),
    Entry(name="guard_pause", target="actions.policy.guard:GuardPause", worker="netfilter"),
    Entry(name="block", target="actions.block.block:Block", worker="netfilter"),
    Entry(name="unblock", target="actions.block.unblock:Unblock", worker="netfilter"),
    Entry(name="allow", target="actions.block.allow:Allow", worker="netfilter"),
    Entry(name="disallow", target="actions.block.allow:Disallow", worker="netfilter"),
    Entry(name="blocklist", target="actions.block.blocklist:Blocklist", worker="netfilter"),
    Entry(name="reblock", target="actions.block.reblock:Reblock", worker="netfilter"),
    Entry(
        name="update_signatures",
        target="actions.antivirus.update:UpdateSignatures",
        worker="steward",
        section="antivirus",
    ),
    Entry(name="scan", target="actions.antivirus.scan:ScanFiles", worker="steward", section="antivirus"),
    Entry(name="quarantine", target="actions.antivirus.quarantine:Quarantine", worker="steward", section="antivirus"),
    Entry(
        name="antivirus_prove", target="actions.antivirus.prove:AntivirusProve", worker="steward", section="antivirus"
    ),
    Entry(name="backup", target="actions.backup.backup:Backup", worker="backup", section="backup"),
    Entry(
        name="backup_acknowledge", target="actions.backup.tripwire.deeds:Acknowledge", worker="backup", section="backup"
    ),
    Entry(name="backup_canaries", target="actions.backup.tripwire.deeds:Canaries", worker="backup", section="backup"),
    Entry(name="history_keep", target="actions.history.deeds:HistoryKeep", worker="steward", section="history"),
    Entry(name="history_list", target="actions.history.deeds:HistoryList", worker="steward", section="history"),
    Entry(name="history_show", target="actions.history.deeds:HistoryShow", worker="steward", section="history"),
    Entry(name="rollback", target="actions.history.deeds:Rollback", worker="steward", section="history"),
    Entry(name="integrity_scan", target="collectors.integrity.deeds:Scan", worker="reader", subject="integrity"),
    Entry(name="integrity_diff", target="collectors.integrity.deeds:Diff", worker="reader", subject="integrity"),
    Entry(name="integrity_accept", target="collectors.integrity.deeds:Accept", worker="reader", subject="integrity"),
    Entry(name="integrity_prove", target="collectors.integrity.deeds:Prove", worker="reader", subject="integrity"),
)
