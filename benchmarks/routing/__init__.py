"""How well an island chooses."""
