"""A finished run → its model card, its HTML page without network or script, its summary in the terminal."""
