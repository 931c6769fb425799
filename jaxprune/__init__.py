"""Prune multilingual language models for non-English tasks, in JAX.

model = jaxprune.load("bigscience/bloom-560m")
batches = jaxprune.demonstrations(model.tokenizer, data, source="fr", target="en")
result = jaxprune.prune(model, batches, sparsity=0.3)
jaxprune.export_hf(model, result.params, "pruned")
"""

import lazy_loader

# The names in __init__.pyi, each imported at its first use. A script can therefore handle errors before JAX is
# imported, which may fail, and loading a model does not import the subpackages that evaluate one.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
