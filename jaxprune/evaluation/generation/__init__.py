"""Prompts → generated tokens, the likeliest or drawn by a seed."""
