"""Chat on vLLM's build for processors, through Antiphon and without it: `python -m benchmarks.vllm`."""
