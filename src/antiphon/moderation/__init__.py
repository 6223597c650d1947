"""What is scored, by whom, and what follows from it: moderation and its flags."""
