"""A speaking companion: it hears you, answers, and tells how you spoke."""
