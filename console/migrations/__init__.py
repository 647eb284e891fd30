"""How the console's schema came to be, one file per version; run by Alembic at start."""
