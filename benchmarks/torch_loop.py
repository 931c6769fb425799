"""The torch way to prune: hooks, torch.sort, two passes a block.

What Wanda's published loop and the authors' do, one sample at a time, without their progress prints and with the
statistics that their wrapper keeps; or several samples at a time.
"""

import torch


class _FirstLayerReachedError(Exception):
    """Carries what the model hands to its first block."""


def _arguments(model, layers, tokens):
    """What the model hands to each block beside hidden states: masks and positions may differ by layer.

    All samples have one length and no pads, so they are the same for all; tokens are those of one batch.
    """
    seen = []

    def look(module, args, kwargs):
        kwargs.pop("hidden_states", None)
        seen.append((args[1:], kwargs))

    handles = [layer.register_forward_pre_hook(look, with_kwargs=True) for layer in layers]
    model.base_model(tokens, use_cache=False)
    for handle in handles:
        handle.remove()
    return seen


def _first_inputs(model, layers, tokens):
    """Hidden states before the first block, for one batch."""

    def catch(module, args, kwargs):
        raise _FirstLayerReachedError(args[0] if args else kwargs["hidden_states"])

    handle = layers[0].register_forward_pre_hook(catch, with_kwargs=True)
    try:
        model.base_model(tokens, use_cache=False)
    except _FirstLayerReachedError as reached:
        return reached.args[0]
    finally:
        handle.remove()


def _output(layer, hidden, arguments):
    args, kwargs = arguments
    out = layer(hidden, *args, **kwargs)
    return out[0] if isinstance(out, tuple) else out


def layers_of(model):
    """The decoder layers of a transformers model."""
    base = model.base_model
    return base.layers if hasattr(base, "layers") else base.h


class Wanda:
    """The statistics and the mask of one linear layer, as in Wanda's published code."""

    def __init__(self, linear):
        self.linear, self.sums = (
            linear,
            torch.zeros(linear.in_features, device=linear.weight.device),
        )

    def add(self, x):
        self.sums += torch.norm(x.t(), p=2, dim=1) ** 2

    def prune(self, sparsity):
        score = self.linear.weight.abs() * torch.sqrt(self.sums)
        order = torch.sort(score, dim=-1, stable=True)[1]
        drop = torch.zeros_like(score, dtype=torch.bool)
        drop.scatter_(1, order[:, : int(score.shape[1] * sparsity)], True)
        self.linear.weight[drop] = 0


class SparseGPT:
    """The statistics and the weights of one linear layer, one input after another, as in the published code."""

    dtype = torch.float32

    def __init__(self, linear):
        self.linear, size = linear, linear.in_features
        place = {"dtype": self.dtype, "device": linear.weight.device}
        self.hessian, self.tokens = torch.zeros(size, size, **place), 0

    def add(self, x):
        x = x.to(self.dtype)
        self.hessian += x.t() @ x
        self.tokens += len(x)

    def prune(self, sparsity):
        weight, hessian = self.linear.weight.to(self.dtype), self.hessian * (2 / self.tokens)
        dead = torch.diag(hessian) == 0
        hessian[dead, dead] = 1
        weight = torch.where(dead, 0, weight)
        diagonal = torch.arange(len(hessian))
        hessian[diagonal, diagonal] += 0.01 * torch.mean(torch.diag(hessian))
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
        upper = torch.linalg.cholesky(inverse, upper=True)
        for start in range(0, weight.shape[1], 128):
            end = min(start + 128, weight.shape[1])
            block, square = weight[:, start:end].clone(), upper[start:end, start:end]
            scores = block**2 / torch.diag(square) ** 2
            order = torch.sort(scores.flatten(), stable=True).indices
            drop = torch.zeros(scores.numel(), dtype=torch.bool)
            drop[order[: int(scores.numel() * sparsity)]] = True  # theirs drops one more
            drop, new, errors = drop.reshape(scores.shape), block.clone(), torch.zeros_like(block)
            for i in range(end - start):
                new[:, i] = torch.where(drop[:, i], 0, block[:, i])
                errors[:, i] = (block[:, i] - new[:, i]) / square[i, i]
                block[:, i:] -= errors[:, i : i + 1] @ square[i : i + 1, i:]
            weight[:, start:end] = new
            weight[:, end:] -= errors @ upper[start:end, end:]
        self.linear.weight.copy_(weight)


class ExactSparseGPT(SparseGPT):
    """The same in float64, on inputs in the model's dtype."""

    dtype = torch.float64


@torch.no_grad()
def prune(model, layers, tokens, sparsity, batch=1, method=Wanda, pruned=lambda number: None):
    """Prunes `layers` in place; tokens [N, T], every one of them counted; `batch` samples at a time, a divisor of N.

    Calls `pruned` with the number of each pruned layer, before its outputs are computed.
    """
    batches = tokens.split(batch)
    states = [_first_inputs(model, layers, part) for part in batches]
    of_layers = _arguments(model, layers, batches[0])
    for number, (layer, arguments) in enumerate(zip(layers, of_layers, strict=True)):
        found = [method(m) for m in layer.modules() if isinstance(m, torch.nn.Linear)]

        def record(one):
            return lambda _, args, __: one.add(args[0].reshape(-1, args[0].shape[-1]).float())

        handles = [one.linear.register_forward_hook(record(one)) for one in found]
        for state in states:
            _output(layer, state, arguments)
        for handle in handles:
            handle.remove()
        for one in found:
            one.prune(sparsity)
        pruned(number)
        states = [_output(layer, state, arguments) for state in states]
