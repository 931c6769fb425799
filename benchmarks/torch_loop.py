"""The torch way to prune: hooks, one sample at a time, torch.sort, two passes a block.

What Wanda's published loop and the authors' do, without their progress prints and with the
statistics that their wrapper keeps.
"""

import torch


class _FirstLayerReachedError(Exception):
    """Carries what the model hands to its first block."""


def _first_inputs(model, layers, tokens):
    """(hidden states, keyword arguments) of the first block, for one sample."""

    def catch(module, args, kwargs):
        raise _FirstLayerReachedError(args, kwargs)

    handle = layers[0].register_forward_pre_hook(catch, with_kwargs=True)
    try:
        model(tokens[None], use_cache=False)
    except _FirstLayerReachedError as reached:
        args, kwargs = reached.args
    finally:
        handle.remove()
    hidden = args[0] if args else kwargs.pop("hidden_states")
    return hidden, args[1:], kwargs


def _output(layer, state):
    hidden, args, kwargs = state
    out = layer(hidden, *args, **kwargs)
    return (out[0] if isinstance(out, tuple) else out), args, kwargs


@torch.no_grad()
def prune(model, layers, tokens, sparsity):
    """Prunes `layers` in place; tokens [N, T], every one of them counted."""
    states = [_first_inputs(model, layers, row) for row in tokens]
    for layer in layers:
        linears = [m for m in layer.modules() if isinstance(m, torch.nn.Linear)]
        sums = {linear: torch.zeros(linear.in_features) for linear in linears}

        def record(linear, args, _, sums=sums):
            x = args[0].reshape(-1, args[0].shape[-1]).t()
            sums[linear] += torch.norm(x, p=2, dim=1) ** 2

        handles = [linear.register_forward_hook(record) for linear in linears]
        for state in states:
            _output(layer, state)
        for handle in handles:
            handle.remove()
        for linear in linears:
            score = linear.weight.abs() * torch.sqrt(sums[linear])
            order = torch.sort(score, dim=-1, stable=True)[1]
            drop = torch.zeros_like(score, dtype=torch.bool)
            drop.scatter_(1, order[:, : int(score.shape[1] * sparsity)], True)
            linear.weight[drop] = 0
        states = [_output(layer, state) for state in states]
