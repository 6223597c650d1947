"""Q-Chat, an adaptive tutor over the study material that one gives it."""
