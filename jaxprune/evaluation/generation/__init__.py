"""Prompts → generated tokens, by greedy decoding or beam search."""
