"""The plain way to prune, in torch, to compare with: whole forward passes with hooks on the linear
layers, one sample at a time without padding, sums in float64, `torch.sort` on every row.

Knows nothing of the package: which layers share an input is seen from the tensors that they get.
"""

import math

import numpy as np
import torch
import transformers
from transformers.pytorch_utils import Conv1D


def blocks_of(model):
    """The decoder layers: the one list of modules that is as long as the model is deep."""
    (blocks,) = (
        module
        for module in model.modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == depth(model)
    )
    return blocks


def divergence_with(folder, batches, layer, linear, kernel):
    """Mean KL of a model's predictions of the next token in nats, from whole logits, when one linear layer of a block
    has another kernel [in, out]."""
    load = transformers.AutoModelForCausalLM.from_pretrained
    dense, changed = (load(folder, dtype=torch.float32).eval() for _ in range(2))
    blocks_of(changed)[layer].get_submodule(linear).weight.data = torch.tensor(kernel.T)
    total = tokens = 0
    for batch in batches:
        ids, valid = torch.tensor(batch.tokens.astype(np.int64)), torch.tensor(batch.valid)
        with torch.no_grad():
            log_p, log_q = (
                torch.log_softmax(model(input_ids=ids).logits.double(), dim=-1)
                for model in (dense, changed)
            )
        total += float((log_p.exp() * (log_p - log_q)).sum(dim=-1)[valid].sum())
        tokens += int(valid.sum())
    return total / tokens


def depth(model):
    return model.config.num_hidden_layers


def linears_of(block):
    return {
        name: module
        for name, module in block.named_modules()
        if isinstance(module, (torch.nn.Linear, Conv1D))
    }


def weight_rows(module):
    """The weight as [out, in], a view."""
    return module.weight.data.T if isinstance(module, Conv1D) else module.weight.data


def squares(x):
    """Σ over tokens of X_j², of x [T, D]."""
    return x.square().sum(dim=0)


def input_sums(model, layers, samples, of=squares):
    """Σ over samples of `of(inputs [T, D])` in float64, by (layer, name of linear layer); and which share an input.

    Returns:
      (sums, groups): groups lists, for each of `layers`, the names that read one tensor, in order.
    """
    sums, groups, hooks = {}, {}, []

    def hook(layer, name):
        def see(_, args):
            x = args[0]
            groups[layer].setdefault(id(x), (x, []))[1].append(
                name
            )  # x is held, so its id is its own
            sums[layer, name] = sums.get((layer, name), 0) + of(x.detach().double()[0]).numpy()

        return see

    for layer in layers:
        for name, module in linears_of(blocks_of(model)[layer]).items():
            hooks.append(module.register_forward_pre_hook(hook(layer, name)))
    for sample in samples:
        groups = {layer: {} for layer in layers}
        with torch.no_grad():
            model(torch.as_tensor(np.asarray(sample), dtype=torch.long)[None])
    for each in hooks:
        each.remove()
    return sums, {layer: [names for _, names in found.values()] for layer, found in groups.items()}


def scores_of(module, squares, code_squares=None):
    """|W| ‖X‖, with code |W| ‖X‖ (‖X‖ / ‖X_code‖); float32 [out, in]."""
    norm = torch.from_numpy(np.sqrt(squares)).float()
    if code_squares is not None:
        norm = norm * (norm / torch.from_numpy(np.sqrt(code_squares)).float())
    return weight_rows(module).abs() * norm


class Pruner:
    """Zeroes weights of one linear layer after another; `margin` is the closest decision so far.

    A comparison with another implementation is fair where no two scores around a threshold are
    closer than float32 sums in another order can move them: |a - b| / b is at least `margin`.
    """

    def __init__(self, sparsity=0.5, pattern=None, highest=False):
        self.sparsity, self.pattern, self.highest = sparsity, pattern, highest
        self.margin = math.inf

    def zero(self, module, scores):
        rows = -scores if self.highest else scores
        n, m = self.pattern or (0, rows.shape[1])
        count = m - n if self.pattern else int(m * self.sparsity)
        groups = rows.reshape(rows.shape[0], -1, m)
        ordered, order = torch.sort(groups, dim=-1, stable=True)
        last, first = ordered[..., count - 1], ordered[..., count]
        self.margin = min(self.margin, float(((first - last) / first.abs()).min()))
        dropped = torch.zeros_like(groups, dtype=torch.bool).scatter_(-1, order[..., :count], True)
        weight_rows(module)[dropped.reshape(rows.shape)] = 0


def prune_with_statistics(model, samples, pruner, propagate, code=()):
    """Prunes `model` in place.

    "block": the statistics of layer l come from layer l as it was, behind pruned layers. "dense":
    all statistics come from the model as it was. "site": linear layers that share an input are
    pruned together, before the statistics of the next ones.
    """

    def statistics(layers):
        sums, groups = input_sums(model, layers, samples)
        return sums, (input_sums(model, layers, code)[0] if code else {}), groups

    def prune(layer, names, sums, code_sums):
        for name in names:
            module = linears_of(blocks_of(model)[layer])[name]
            key = (layer, name)
            pruner.zero(module, scores_of(module, sums[key], code_sums.get(key)))

    everything = range(depth(model))
    if propagate == "dense":
        sums, code_sums, groups = statistics(everything)
    for layer in everything:
        if propagate != "dense":
            sums, code_sums, groups = statistics([layer])
        for names in groups[layer]:
            if propagate == "site":
                sums, code_sums, _ = statistics([layer])
            prune(layer, names, sums, code_sums)


def arguments_of(model, sample):
    """(arguments, keyword arguments) that each block gets in a pass over a sample."""
    seen = []

    def see(_, args, kwargs):
        seen.append((args, dict(kwargs)))

    hooks = [block.register_forward_pre_hook(see, with_kwargs=True) for block in blocks_of(model)]
    with torch.no_grad():
        model(torch.as_tensor(np.asarray(sample), dtype=torch.long)[None], use_cache=False)
    for hook in hooks:
        hook.remove()
    return seen


def prune_block_by_block(model, samples, pruner, then=lambda layer: None):
    """As `prune_with_statistics(…, "block")`, each block fed with the outputs of the one before: for large models.

    `model` is a decoder without its head; what it hands to each block beside hidden states is taken from a pass.
    `then` is called when a block is pruned, before its outputs are computed.
    """
    blocks, states, others = blocks_of(model), [], []
    for sample in samples:
        seen = arguments_of(model, sample)
        states.append(seen[0][0][0])
        others.append([(args[1:], kwargs) for args, kwargs in seen])

    def outputs(layer):
        with torch.no_grad():
            for state, arguments in zip(states, others, strict=True):
                args, kwargs = arguments[layer]
                out = blocks[layer](state, *args, **kwargs)
                yield out[0] if isinstance(out, tuple) else out

    for layer, block in enumerate(blocks):
        sums = {}

        def see(module, args, sums=sums):
            square = args[0].detach().double().square().sum(dim=(0, 1)).numpy()
            sums[module] = sums.get(module, 0) + square

        hooks = [linear.register_forward_pre_hook(see) for linear in linears_of(block).values()]
        for _ in outputs(layer):
            pass
        for hook in hooks:
            hook.remove()
        for linear, squares in sums.items():
            pruner.zero(linear, scores_of(linear, squares))
        then(layer)
        states = list(outputs(layer))


def prune_by_magnitude(model, pruner):
    for block in blocks_of(model):
        for module in linears_of(block).values():
            pruner.zero(module, weight_rows(module).abs())
