"""How fast one request becomes a provider's payload: `python -m benchmarks.bridge`."""
