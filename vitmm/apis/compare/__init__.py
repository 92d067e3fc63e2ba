"""Which backbone is best for a task: one recipe, many backbones, a table and a page of them."""
