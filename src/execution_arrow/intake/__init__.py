"""From what a caller asks to a durable generation with a durable hold: checks, quote, frozen spec."""
