"""What every part of Holdfast agrees on: pure definitions, no I/O and no clock."""
