"""Hugging Face folders and hub ids → models, read part by part; pruned parameters → Hugging Face folders."""
