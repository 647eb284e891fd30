"""The subject `ports`: every listening socket of this server and who is behind it."""
