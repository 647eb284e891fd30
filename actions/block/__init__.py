"""The room of bans: our own table in the kernel, what may never be banned, and the proof that a ban works."""
