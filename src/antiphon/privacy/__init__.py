"""What is kept of requests, for how long, and how it is deleted."""
