"""Run a generation from request to settled result."""
