"""Room 1: a template and a dialogue become a prompt, a prompt becomes a summary."""
