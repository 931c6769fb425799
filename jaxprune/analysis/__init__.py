"""Which features translation leans on, in which layers, and which weights pruning keeps for each language."""
