"""What the tools call; each function is in a file of its own and imports what it needs."""
