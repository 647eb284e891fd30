"""Judging antivirus: what files and daemons say of signatures, and how a product stands."""
