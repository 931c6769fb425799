"""Parameters from memory: those of another model are refused before anything is done with them."""

import jax
import ml_dtypes
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import jaxprune as jp

UP = "blocks/mlp/up/kernel"


def changed(params, path, leaf):
    """The parameters with another leaf at a path, or without it."""
    flat = flatten_dict(params, sep="/")
    flat.pop(path, None)
    return unflatten_dict(flat | ({} if leaf is None else {path: leaf}), sep="/")


CASES = {
    "depth": (lambda p: p | {"blocks": jax.tree.map(lambda x: x[:2], p["blocks"])},
              r"blocks/\S+: got float32 of shape \(2, .*; expected floats of shape \(3, "),
    "width": (lambda p: changed(p, UP, np.zeros((3, 48, 81), np.float32)),
              rf"{UP}: got float32 of shape \(3, 48, 81\); expected floats of shape \(3, 48, 80\)"),
    "missing": (lambda p: changed(p, UP, None), f"{UP}: missing; expected floats of shape"),
    "extra": (lambda p: changed(p, "blocks/mlp/gate/kernel", np.zeros((3, 48, 80), np.float32)),
              "blocks/mlp/gate/kernel: not in this model; expected the paths of Model.params"),
    "masks": (lambda p: changed(p, UP, np.ones((3, 48, 80), bool)), f"{UP}: got bool of shape"),
    "a part": (lambda p: {"blocks": p["blocks"]}, "embed/.*: missing"),
    "no array": (lambda p: changed(p, UP, "text"), f"{UP}: got str; expected an array"),
    "no tree": (lambda p: [p], "got list; expected a nested dict of arrays"),
}  # fmt: skip


@pytest.fixture
def xglm(tiny_folder):
    return jp.load(tiny_folder("xglm"))


@pytest.mark.parametrize("case", CASES)
def test_parameters_of_another_model_are_refused(case, xglm, tmp_path):
    change, message = CASES[case]
    params = change(xglm.params)
    for refused in (
        lambda: xglm.replace(params),
        lambda: jp.export_hf(xglm, params, tmp_path / "hf"),
    ):
        with pytest.raises(jp.InputError, match=f"^params: .*{message}"):
            refused()
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_parameters_of_other_dtypes_and_on_devices_pass(dtype, xglm):
    params = jax.tree.map(lambda x: x.astype(dtype), xglm.params)
    assert xglm.replace(params).dtype == np.dtype(dtype).name
    assert xglm.replace(jax.device_put(params)).params["blocks"] is not None
