"""How shipped weights were made; nothing in the hub imports this."""
