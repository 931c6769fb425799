"""A config and a model → scores, perplexity and translations of every language, and their changes between runs."""
