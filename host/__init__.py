"""The only code that touches this Linux machine; it reads and drives, it never judges."""
