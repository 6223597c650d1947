"""What the example applications have in common: a server for a page, the page's style, and evaluations."""
