"""Room 0: a file becomes checked dialogues in three stable splits."""
