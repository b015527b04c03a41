"""Room 3: a checkpoint becomes a report, reports become a comparison and its charts."""
