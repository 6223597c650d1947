"""Chat and speech through Antiphon beside the bare engines: `python -m benchmarks --help`."""
