"""What looks: one file or folder per subject; a collector never changes anything."""
