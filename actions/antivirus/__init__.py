"""Deeds about malware: signatures brought up to date, trees scanned, files moved out of reach, detection proved."""
