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


@torch.no_grad()
def prune(model, layers, tokens, sparsity, batch=1):
    """Prunes `layers` in place; tokens [N, T], every one of them counted; `batch` samples at a time, a divisor of N."""
    batches = tokens.split(batch)
    states = [_first_inputs(model, layers, part) for part in batches]
    for layer, arguments in zip(layers, _arguments(model, layers, batches[0]), strict=True):
        linears = [m for m in layer.modules() if isinstance(m, torch.nn.Linear)]
        sums = {m: torch.zeros(m.in_features, device=m.weight.device) for m in linears}

        def record(linear, args, _, sums=sums):
            x = args[0].reshape(-1, args[0].shape[-1]).float().t()
            sums[linear] += torch.norm(x, p=2, dim=1) ** 2

        handles = [linear.register_forward_hook(record) for linear in linears]
        for state in states:
            _output(layer, state, arguments)
        for handle in handles:
            handle.remove()
        for linear in linears:
            score = linear.weight.abs() * torch.sqrt(sums[linear])
            order = torch.sort(score, dim=-1, stable=True)[1]
            drop = torch.zeros_like(score, dtype=torch.bool)
            drop.scatter_(1, order[:, : int(score.shape[1] * sparsity)], True)
            linear.weight[drop] = 0
        states = [_output(layer, state, arguments) for state in states]
