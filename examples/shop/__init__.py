"""A shopping assistant: a wish becomes filters over a million products, and the best come with a reason."""
