"""The bundled micro-models and the small world that they were trained on."""

# Architectures whose checkpoint is bundled, in jaxprune/nano/checkpoints; `train.ARCHITECTURES` can be trained.
TRAINED = ("xglm", "bloom", "gpt2")
