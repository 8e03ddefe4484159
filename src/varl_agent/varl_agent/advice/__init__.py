"""What is asked of an advisor, when, and what is kept of its answers."""
