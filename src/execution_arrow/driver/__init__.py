"""The asyncio driver: owns generations, folds what is heard, commits it, performs what is due."""
