"""A model: its config, its weights (read on demand) and its tokenizer."""

import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.files.places import local_path
from jaxprune.base.schema import PATH, check
from jaxprune.devices.products import product_dtype
from jaxprune.hf.fingerprint import states_in
from jaxprune.hf.gguf.read import GgufWeights
from jaxprune.hf.gguf.tokens import check_tokens, rules_of
from jaxprune.hf.hub import CONFIG_FILES, resolve
from jaxprune.hf.source import InMemory, ParameterSource, check_params
from jaxprune.hf.weights import Weights, shapes, size, stack_layers
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import family_of, load_config
from jaxprune.models.trees import Params

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# A folder with a tokenizer has at least one of these.
TOKENIZER_FILES = ("tokenizer.json", "vocab.*", "*.model")


@dataclasses.dataclass(frozen=True)
class Model:
    """An open model, as `load` returns it. `params` reads all tensors, `block` the tensors of one block.

    Attributes:
      config: sizes and switches.
      folder: the folder of the Hugging Face files.
      source: the source of the parameters: files that are read part by part, or memory.
    """

    config: ModelConfig
    folder: Path
    source: ParameterSource

    @functools.cached_property
    def params(self) -> Params:
        """All parameters {"embed", "blocks" [L, …], "head"} on the host in stored dtypes, or those of `replace`."""
        if isinstance(self.source, InMemory):
            return self.source.params
        return {
            "embed": self.part("embed"),
            "blocks": stack_layers([self.block(layer) for layer in range(self.config.n_layers)]),
            "head": self.part("head"),
        }

    def config_in(self, dtype: str) -> ModelConfig:
        """The config of the model computed in `dtype`, "float32" or "bfloat16".

        A family may round its scale of embeddings to `dtype`. Inputs of products are rounded if bfloat16 is
        multiplied as float32. All processes must call it, see `devices.product_dtype`.
        """
        rounded = product_dtype(dtype) != dtype
        return dataclasses.replace(self.config.with_scale(dtype), rounded_inputs=rounded)

    @functools.cached_property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The folder's tokenizer; InputError if it is missing or has ids beyond the vocabulary."""
        from transformers import AutoTokenizer  # late: takes seconds, with torch installed

        # Without files, transformers returns an empty XGLM, GPT-2 or Qwen tokenizer.
        if not self.has_tokenizer:
            raise InputError(
                f"{self.folder}: no tokenizer; expected {' or '.join(TOKENIZER_FILES)}"
            )
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, trust_remote_code=False)
        # transformers raises a dozen types of exceptions for a folder without tokenizer
        except Exception as error:
            reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
            raise InputError(f"{self.folder}: no usable tokenizer ({reason})") from error
        largest = max(tokenizer.get_vocab().values())
        if largest >= self.config.vocab_size:
            raise InputError(
                f"{self.folder}: the tokenizer has id {largest}, config.json has vocab_size {self.config.vocab_size}"
            )
        return tokenizer

    def release_tokenizer(self) -> None:
        """Frees the memory of the tokenizer, 0.3 GB for a vocabulary of 262,144; the next use reads it again."""
        self.__dict__.pop("tokenizer", None)

    @functools.cached_property
    def tokenizer_digest(self) -> str:
        """SHA-256 of the tokenizer's rules, independent of the format of its files; raises as `tokenizer`."""
        tokenizer = self.tokenizer
        rules: dict[str, Any] = tokenizer.get_vocab()
        if tokenizer.is_fast:
            rules = json.loads(tokenizer.backend_tokenizer.to_str())
            rules |= {"truncation": None, "padding": None}  # state of the last call
        content = json.dumps([rules, tokenizer.special_tokens_map], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def has_tokenizer(self) -> bool:
        """Whether the folder has a file with a vocabulary."""
        return any(file for pattern in TOKENIZER_FILES for file in self.folder.glob(pattern))

    @property
    def dtype(self) -> str:
        """The stored dtype of the first pruned kernel."""
        path = next(iter(family_of(self.config).sites))
        return str(self.source.dtype_of(f"blocks/{path}").name)

    @property
    def mixed(self) -> str | None:
        """A parameter whose dtype differs between layers, and its dtypes, in words; None if none differs."""
        for path in (path for path in shapes(self.config) if path.startswith("blocks/")):
            dtypes = {self.source.dtype_of(path, i).name for i in range(self.config.n_layers)}
            if len(dtypes) > 1:
                return f"{path} is {', '.join(sorted(dtypes))}"
        return None

    @property
    def size(self) -> int:
        """Number of parameters."""
        return size(self.config)

    def block(self, layer: int) -> dict[str, Any]:
        """Parameters of one block on the host; reads no other block.

        Each of several processes reads its share, so all must call.
        """
        return self.part("blocks", layer)

    def part(self, path: str, layer: int = 0) -> dict[str, Any]:
        """Parameters below a path such as "embed" or "head/norm", on the host; all processes must call, see `block`."""
        return self.source.joined(path, self.source.share(path, layer), layer)

    def replace(self, params: Params) -> "Model":
        """The same model with other parameters {"embed", "blocks" [L, …], "head"}, arrays of JAX or numpy.

        Raises:
          InputError: parameters of another model; names the first path that differs.

        Examples:
          >>> import jax, jaxprune as jp
          >>> model = jp.load("nano/bloom")
          >>> halved = model.replace(jax.tree.map(lambda leaf: leaf / 2, model.params))
          >>> halved.config == model.config
          True
        """
        check_params(self.config, params)
        return dataclasses.replace(self, source=InMemory(self.config, params))


def check_model(model: object) -> None:
    """Rejects anything but an open model, for example its name; raises InputError."""
    if not isinstance(model, Model):
        raise invalid_value("model", model, "a Model, as jaxprune.load opens it")


def load(
    model: str | Path, revision: str | None = None, *, tokenizer: str | Path | None = None
) -> Model:
    """Opens a model from a local Hugging Face folder, a hub id or a GGUF file; tensors are read when they are needed.

    Args:
      model: folder, here or in a bucket (s3://…, gs://…), id such as "bigscience/bloom-560m", or a bundled micro-model:
        "nano/xglm" (short: "nano"), "nano/bloom" or "nano/gpt2". A folder of that name is "./nano".
        A path that ends in .gguf is a file of llama.cpp, of any quantization, which is dequantized to float32.
      revision: branch, tag or commit on the hub.
      tokenizer: for a GGUF file the folder or id of its model, with config.json and the same tokens; by default `hf/`
        beside the file, as `jaxprune quantize` writes it.

    Raises:
      InputError: no such folder or id; an unsupported config; a PEFT adapter; tensors that do not fit the config; a
        GGUF file with other tokens than its tokenizer.
      OSError: the hub cannot be reached.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> model.config.family, model.config.n_layers, model.dtype
      ('bloom', 4, 'float32')
      >>> model.params["blocks"]["mlp"]["up"]["kernel"].shape  # layers, in, out
      (4, 128, 512)
    """
    check("model", model, PATH)
    if str(model).endswith(".gguf"):
        return _load_gguf(local_path(str(model)), tokenizer, revision)
    if tokenizer is not None:
        raise invalid_value("tokenizer", tokenizer, "none; only for a model in a GGUF file")
    folder = resolve(str(model), revision)
    if (folder / "adapter_config.json").exists():  # transformers would apply it
        raise InputError(
            f"{model}: has a PEFT adapter (adapter_config.json); merge it into the model"
        )
    # Config, headers and tokenizer are read before the fingerprint is taken, and copied after it.
    opened = states_in(folder, [*CONFIG_FILES, "*.safetensors", "*.bin"])
    config = load_config(folder)
    return Model(config, folder, Weights(config, folder, opened))


def _load_gguf(file: Path, tokenizer: str | Path | None, revision: str | None) -> Model:
    beside = file.parent / "hf"
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    if tokenizer is None and not beside.is_dir():
        raise InputError(
            f"tokenizer: not set; expected the folder or id of the model in {file}, with config.json and tokenizer"
        )
    folder = resolve(str(beside if tokenizer is None else tokenizer), revision)
    source = GgufWeights(load_config(folder), file)
    model = Model(source.config, folder, source)
    check_tokens(rules_of(model.tokenizer, folder), source.tokens, file, folder)
    return model
