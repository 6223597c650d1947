"""What the gateway costs for each request and token, beside others: `python -m benchmarks.gateway`."""
