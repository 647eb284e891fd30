"""TCP sessions: which packets a session takes, and each direction's bytes in order."""
