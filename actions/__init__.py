"""What changes: one file or folder per deed."""
