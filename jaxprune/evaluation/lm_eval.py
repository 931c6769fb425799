"""Requests of EleutherAI's lm-evaluation-harness → responses of a model of this package, `model="jaxprune"`.

    import jaxprune.evaluation.lm_eval  # registers the name
    lm_eval.simple_evaluate(model="jaxprune", model_args="pretrained=FOLDER,dtype=float32", tasks=[…])

The harness has no entry points for models, so the module must be imported. The command line

    python -m jaxprune.evaluation.lm_eval run --model jaxprune --model_args pretrained=FOLDER --tasks …

is `lm_eval` with the name registered. Log-probabilities are those of the harness's own Hugging Face class (`hf`).
Shared prefixes of requests are computed once, in any order of the requests. Tasks that generate text need `model="hf"`
with the folder `hf/` of a run.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.schema import check
from jaxprune.devices.sharding import one_cpu_device_per_core
from jaxprune.evaluation.scoring.options import prefix_token
from jaxprune.evaluation.scoring.scorer import Scorer
from jaxprune.hf.model import load
from jaxprune.stats.blocks import DTYPE

try:
    from lm_eval.api.model import TemplateLM
    from lm_eval.api.registry import register_model
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
except ImportError as error:
    raise ImportError(f"{error}; pip install lm_eval") from error

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

# The default of the harness for models without a limit.
MAX_LENGTH = 2048
# Tokenizers without a limit return a number with thirty digits.
_NO_LIMIT = 10**20

# ((context, continuation) or None, tokens of the context, tokens of the continuation)
TokenRequest = tuple[tuple[str, str] | None, list[int], list[int]]


@register_model("jaxprune")
class JaxpruneLM(TemplateLM):
    """A model of this package with the harness's interface.

    Args:
      pretrained: folder or hub id, as for `jaxprune.load`.
      revision: revision of a hub id.
      dtype: "float32" or "bfloat16", of the weights on the devices.
      max_length: limit on the tokens before a predicted one; by default the model's positions, or without a limit the
        tokenizer's, or 2,048. Longer requests lose tokens on the left.
      batch_size, max_batch_size, device: ignored arguments of the harness; JAX uses all devices.

    Raises:
      InputError: a model that does not load, an unknown dtype, a max_length beyond the model's positions.
    """

    def __init__(
        self,
        pretrained: str,
        *,
        revision: str | None = None,
        dtype: str = "float32",
        max_length: int | None = None,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
    ) -> None:
        super().__init__()
        check("dtype", dtype, DTYPE)
        self._scorer = Scorer(load(pretrained, revision), dtype=dtype)
        self.tokenizer = self._scorer.model.tokenizer
        self.max_length = self._length(max_length)

    def _length(self, max_length: int | None) -> int:
        limit = self._scorer.model.config.max_positions
        if max_length is None:
            tokenizer_limit = self.tokenizer.model_max_length
            return limit or (tokenizer_limit if tokenizer_limit < _NO_LIMIT else MAX_LENGTH)
        if max_length < 1 or (limit is not None and max_length > limit):
            highest = " or more" if limit is None else f" to {limit}, the model's positions"
            raise invalid_value("max_length", max_length, f"1{highest}")
        return max_length

    # Tokens.

    @property
    def eot_token_id(self) -> int:
        """The tokenizer's end of text."""
        return self.tokenizer.eos_token_id

    @property
    def prefix_token_id(self) -> int:
        """See `prefix_token`."""
        return prefix_token(self.tokenizer)

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: Any
    ) -> list[int]:
        """Token ids; with the tokenizer's special tokens, unless the text begins with the prefix token."""
        if add_special_tokens is None:
            prefix = str(self.tokenizer.decode([self.prefix_token_id]))
            add_special_tokens = not string.startswith(prefix)
        return self.tokenizer.encode(string, add_special_tokens=add_special_tokens, verbose=False)

    # Scores.

    def _loglikelihood_tokens(
        self, requests: Sequence[TokenRequest], disable_tqdm: bool = False, **kwargs: Any
    ) -> list[tuple[float, bool]]:
        """(sum of log-probabilities, whether all tokens are the argmax) of each continuation.

        Raises:
          InputError: a continuation without tokens, or longer than `max_length`; a model that returns NaN.
        """
        sequences, starts = [], []
        for number, (_, context, continuation) in enumerate(requests):
            if not 1 <= len(continuation) <= self.max_length:
                raise InputError(
                    f"request {number}: a continuation of {len(continuation)} tokens; expected 1 to "
                    f"{self.max_length}, max_length"
                )
            # the last token is only predicted, so one more fits
            tokens = [*context, *continuation][-(self.max_length + 1) :]
            sequences.append(tokens)
            starts.append(len(tokens) - len(continuation))
        self._scorer.progress = not disable_tqdm
        answers = [
            (float(scores.log_probabilities.sum(dtype=np.float64)), bool(scores.is_argmax.all()))
            for scores in self._scorer(sequences, starts, "loglikelihood")
        ]
        for number, ((texts, _, _), answer) in enumerate(zip(requests, answers, strict=True)):
            if math.isnan(answer[0]):
                raise InputError(f"request {number}: the model returns NaN, a sign of overflow")
            if texts is not None:
                self.cache_hook.add_partial("loglikelihood", texts, answer)
        return answers

    def loglikelihood_rolling(
        self, requests: "list[Instance]", disable_tqdm: bool = False
    ) -> list[float]:
        """Log-probability of each text, in windows of `max_length` tokens that predict each token once."""
        windows: list[TokenRequest] = []
        owners = []
        for number, request in enumerate(requests):
            tokens = self.tok_encode(request.args[0])
            for window in get_rolling_token_windows(
                tokens, self.prefix_token_id, self.max_length, context_len=1
            ):
                windows.append((None, *make_disjoint_window(window)))
                owners.append(number)
        scores = [score for score, _ in self._loglikelihood_tokens(windows, disable_tqdm)]
        sums = np.bincount(np.array(owners, int), scores, len(requests)).tolist()
        for request, score in zip(requests, sums, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, score)
        return sums

    def generate_until(self, requests: "list[Instance]", disable_tqdm: bool = False) -> list[str]:
        """Not supported.

        Raises:
          InputError: any request.
        """
        if requests:
            raise InputError(
                'a task generates text; choose tasks of log-probabilities, or model="hf" with the folder hf/ of a run'
            )
        return []


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    one_cpu_device_per_core()
    cli_evaluate()
