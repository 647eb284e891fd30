"""Outputs besides the console: a file of OCSF lines, the systemd journal, Prometheus metrics."""
