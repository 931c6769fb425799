"""What torch says of the tokens of one text."""

import numpy as np
import torch


def token_scores(network, tokens, start=1):
    """(log-probabilities of tokens[start:], which of them are the likeliest)."""
    with torch.no_grad():
        scores = network(torch.tensor([tokens])).logits[0].double().log_softmax(-1).numpy()
    before, after = np.arange(start - 1, len(tokens) - 1), tokens[start:]
    return scores[before, after], scores[before].argmax(-1) == after
