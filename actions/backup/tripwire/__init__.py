"""The tripwire: what a run of a backup sees of encryption, deletion and renaming by an attacker, and what then stays as it is."""
