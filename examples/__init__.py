"""What a user writes beside the configs; each file says which config uses it."""
