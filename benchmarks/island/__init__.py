"""How fast an island answers."""
