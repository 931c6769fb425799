"""A pruned or smaller model, the dense one and samples → its kept weights, norms and biases, fitted again."""
