"""The judges there are; they are small and pure, and run in the core."""

from contracts.catalog import Entry

JUDGES: tuple[Entry, ...] = (
    Entry(name="listeners", target="analysis.listeners:Listeners", worker="core"),
    Entry(name="firewall_state", target="analysis.firewall_state:FirewallState", worker="core"),
    Entry(name="policy_drift", target="analysis.policy_drift:PolicyDrift", worker="core"),
    Entry(name="policy_trial", target="analysis.policy_trial:PolicyTrial", worker="core"),
    Entry(name="exposure", target="analysis.exposure:ExposureJudge", worker="core"),
    Entry(name="backup", target="analysis.backup:BackupJobs", worker="core"),
    Entry(name="backup.gaps", target="analysis.gaps:BackupGaps", worker="core"),
    Entry(name="antivirus.state", target="analysis.antivirus.judge:AntivirusJudge", worker="core"),
    Entry(name="outbound", target="analysis.outbound:OutboundJudge", worker="core"),
    Entry(name="stale", target="analysis.stale:Stale", worker="core"),
)
