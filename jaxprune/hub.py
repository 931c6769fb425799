"""Where a model's files are: a local folder as it is, or a snapshot of a hub repository."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from jaxprune.errors import InputError

# What pruning reads: no code, no other framework's weights.
CONFIG_FILES = ["*.json", "*.txt", "*.model", "*.jinja"]


def resolve(model: str, revision: str | None = None) -> Path:
    """The folder of a model.

    Args:
      model: a local folder, or a hub id such as "bigscience/bloom-560m".
      revision: branch, tag or commit, for hub ids.

    Raises:
      InputError: neither a folder nor a repository of the hub.
      OSError: the hub cannot be reached.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise InputError(f"{model}: is a file; expected a Hugging Face folder or a hub id")
    try:
        # safetensors first; .bin only where a repository has nothing else (XGLM, mGPT)
        folder = _snapshot(model, revision, ["*.safetensors"])
        if not any(folder.glob("*.safetensors")):
            folder = _snapshot(model, revision, ["pytorch_model*.bin"])
    except LocalEntryNotFoundError:
        raise ConnectionError(f"{model}: no such folder, and the hub cannot be reached") from None
    except (HFValidationError, HfHubHTTPError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{model}: neither a folder nor a repository of the hub ({reason})"
        ) from None
    return folder


def _snapshot(model: str, revision: str | None, weights: list[str]) -> Path:
    # original/* holds a second copy of the weights in some repositories
    return Path(
        snapshot_download(
            model,
            revision=revision,
            allow_patterns=[*CONFIG_FILES, *weights],
            ignore_patterns=["original/*", "*.msgpack"],
        )
    )
