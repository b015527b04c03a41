"""Room 4: a comparison becomes a link, a published page, a file, and back."""
