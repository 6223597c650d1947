"""Example applications on the stock `openai` client; each starts with `python -m examples.NAME`."""
