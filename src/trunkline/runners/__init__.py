"""How work is executed: one datum in one scratch directory, by a pool of one or many processes."""
