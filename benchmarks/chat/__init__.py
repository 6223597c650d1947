"""Chat through Antiphon beside llama.cpp's own server: `python -m benchmarks.chat`."""
