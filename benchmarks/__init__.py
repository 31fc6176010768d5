"""One runnable module per question: `python -m benchmarks.<name>`, or all of them with `make bench`."""
