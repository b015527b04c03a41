"""Room 5: what a visitor sees; the only room that knows gradio."""
