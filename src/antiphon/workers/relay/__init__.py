"""Recordings for a server of OpenAI's API: opened, measured and then sent there."""
