"""How provider calls reach the network. `transport.httpx` is the default, `transport.aiohttp` the faster one;
anything with `ports.Transport` may take their place."""
