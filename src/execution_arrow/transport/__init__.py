"""How provider calls reach the network. `transport.httpx` is the default; anything with `ports.Transport` may
take its place."""
