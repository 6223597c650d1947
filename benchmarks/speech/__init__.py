"""Speech through Antiphon beside faster-whisper and servers around it: `python -m benchmarks.speech`."""
