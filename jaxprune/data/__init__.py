"""Sentences, code or token ids → samples: rows of tokens, each of its own length."""
