"""The fast path: one generated function per contract and route, indistinguishable from the interpreter."""
