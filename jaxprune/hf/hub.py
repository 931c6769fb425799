"""A local path or hub id → the folder of the model's files: that path, or a snapshot of the repository."""

import difflib
from pathlib import Path

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.files.places import local_path
from jaxprune.nano import MODELS

# Files of config and tokenizer; no code, no weights of other frameworks.
CONFIG_FILES = ("*.json", "*.txt", "*.model", "*.jinja")
# All files beside the weights that an export copies, among them licence and authors.
BESIDE = (*CONFIG_FILES, "LICENSE*", "README*")


def resolve(model: str, revision: str | None = None) -> Path:
    """The folder of a model.

    Args:
      model: a local folder; one in a bucket (s3://…, gs://…), which is downloaded; a hub id such as
        "bigscience/bloom-560m"; or a bundled model such as "nano/bloom".
      revision: branch, tag or commit, for hub ids.

    Raises:
      InputError: neither a folder nor a repository of the hub; a revision of a folder.
      OSError: the hub cannot be reached.
    """
    folder = _local(model, revision)
    if folder is None:
        # safetensors first; .bin only if a repository has nothing else (XGLM, mGPT)
        folder = _snapshot(model, revision, [*BESIDE, "*.safetensors"])
        if not any(folder.glob("*.safetensors")):
            folder = _snapshot(model, revision, [*BESIDE, "pytorch_model*.bin"])
    return folder


def config_folder(model: str, revision: str | None = None) -> Path:
    """As `resolve`, but downloads only config.json of a hub repository."""
    return _local(model, revision) or _snapshot(model, revision, ["config.json"])


def _local(model: str, revision: str | None) -> Path | None:
    path = local_path(MODELS.get(model, model))
    is_misspelled = "/" not in model and bool(difflib.get_close_matches(model, ["nano"]))
    if (is_misspelled or model.startswith("nano/")) and not path.exists():
        raise invalid_value(
            "model", model, f"{', '.join(MODELS)}, a folder, a hub id", choices=MODELS
        )
    if path.exists() and not path.is_dir():
        raise InputError(f"{model}: is a file; expected a Hugging Face folder or a hub id")
    if not path.is_dir():
        return None
    if revision is not None:
        raise invalid_value("revision", revision, f"none, as {model} is a folder")
    return path


def _snapshot(model: str, revision: str | None, patterns: list[str]) -> Path:
    import huggingface_hub  # imported late: takes a tenth of JAX's import time
    from huggingface_hub import errors

    try:
        folder = huggingface_hub.snapshot_download(
            model,
            revision=revision,
            allow_patterns=patterns,
            # In some repositories these are a second copy of the weights.
            ignore_patterns=["original/*", "consolidated*.safetensors"],
        )
    except errors.LocalEntryNotFoundError:
        raise ConnectionError(
            f"{model}: no such folder, and the hub cannot be reached; set model to a folder, which "
            f"hf download {model} --local-dir FOLDER writes on a machine that reaches the hub"
        ) from None
    except errors.HFValidationError:
        raise InputError(f"{model}: no such folder, and no hub id (owner/name)") from None
    except errors.HfHubHTTPError as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{model}: neither a folder nor a repository of the hub ({reason})"
        ) from None
    except Exception as error:
        # the client passes on errors of its transport, such as those of a proxy
        if type(error).__module__.startswith("httpx"):
            raise ConnectionError(
                f"{model}: no such folder, and the hub cannot be reached ({error})"
            ) from None
        raise
    return Path(folder)
