"""Room 2: a plan becomes a run, a run becomes checkpoints."""
