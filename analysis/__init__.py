"""Pure models and judgements over snapshots."""
