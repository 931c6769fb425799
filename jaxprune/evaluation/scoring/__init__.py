"""Questions and texts → log-probabilities of their tokens → measurements."""
