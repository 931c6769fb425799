"""The bundled micro-models and the small world that they were trained on."""

from pathlib import Path

# Architecture → its bundled checkpoint; `train.ARCHITECTURES` are those that can be trained.
CHECKPOINTS = {
    name: str(Path(__file__).with_name("checkpoints") / name) for name in ("xglm", "bloom", "gpt2")
}
