"""Prompts → generated tokens, by greedy decoding."""
