"""Antiphon: chat completions and Whisper speech-to-text on machines you control."""

__version__ = "0.1.0"
