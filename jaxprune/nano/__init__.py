"""The bundled micro-models and their texts, as files; `nano/` in the repository makes them."""

from pathlib import Path

# Architecture → its checkpoint.
CHECKPOINTS = {
    name: str(Path(__file__).with_name("checkpoints") / name) for name in ("xglm", "bloom", "gpt2")
}
# Names of the models → their checkpoints.
MODELS = {"nano": CHECKPOINTS["xglm"], **{f"nano/{name}": at for name, at in CHECKPOINTS.items()}}
