"""A config and a model → scores, perplexity and translations of every language, and their changes between runs.

**Inputs.** Each `evaluation.json` records by content what was evaluated and with which tokenizer.
`same_evaluation.py` compares these records, so runs are compared on the same rows or not at all. The tokenizer's
digest is of its rules, so an export, or a model that transformers saved again, has the digest of the original.

**Trees.** A row may contain trees of tokens, so that the tokens shared by a question's options are computed once:
token i sees token j if j <= i < ends[j]. After the last block the vocabulary is processed in slices, each of which
updates the largest logit, its token and Σ exp; [B, T, V] is never stored.
"""
