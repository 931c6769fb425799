"""Sentences → few-shot prompts → hypotheses → BLEU and chrF."""
