"""Bytes counted in the text of compiled programs against counts by hand, and against XLA's own where it has them."""

import jax
import jax.numpy as jnp
import pytest
from hlo_bytes import moved, size


@pytest.mark.parametrize(
    ("shape", "size_of_it"),
    [
        ("f32[2,3]{1,0}", 24),
        ("bf16[5]{0}", 10),
        ("pred[7]{0}", 7),
        ("f8e4m3fn[4]{0}", 4),
        ("s64[]", 8),
        ("(f32[2]{0}, bf16[3]{0}, /*index=2*/u8[0]{0})", 14),
        ("token[]", 0),
    ],
)
def test_sizes_of_shapes(shape, size_of_it):
    assert size(shape) == size_of_it


def test_inputs_and_outputs_of_each_operation_count():
    matrix = jax.ShapeDtypeStruct((64, 64), jnp.float32)
    compiled = jax.jit(lambda x, y: x @ y).lower(matrix, matrix).compile()
    assert moved(compiled.as_text()) == 3 * 4 * 64 * 64
    assert moved(compiled.as_text()) == compiled.cost_analysis()["bytes accessed"]


PROGRAM = """HloModule jit_f

%body (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %p = (s32[], f32[8]{0}) parameter(0)
  %x = f32[8]{0} get-tuple-element(%p), index=1
  %i = s32[] get-tuple-element(%p), index=0
  %y = f32[8]{0} fusion(%x), kind=kLoop, calls=%doubled, metadata={op_name="jit(f)/mul"}
  ROOT %out = (s32[], f32[8]{0}) tuple(%i, %y)
}

%few (p.1: f32[8]) -> f32[8] {
  %p.1 = f32[8]{0} parameter(0)
  ROOT %n = f32[8]{0} negate(%p.1)
}

%more (p.2: f32[8]) -> f32[8] {
  %p.2 = f32[8]{0} parameter(0)
  %a = f32[8]{0} negate(%p.2)
  ROOT %s = f32[8]{0} add(%a, %p.2)
}

ENTRY %main (x.1: f32[8], c: pred[]) -> f32[8] {
  %x.1 = f32[8]{0} parameter(0)
  %c = pred[] parameter(1)
  %zero = s32[] constant(0)
  %start = (s32[], f32[8]{0}) tuple(%zero, %x.1)
  %loop = (s32[], f32[8]{0}) while(%start), condition=%going, body=%body, backend_config={"known_trip_count":{"n":"7"}}
  %z = f32[8]{0} get-tuple-element(%loop), index=1
  ROOT %w = f32[8]{0} conditional(%c, %z, %z), branch_computations={%few, %more}, metadata={}
}
"""


def test_loops_count_as_often_as_they_run_and_of_branches_the_larger():
    array = 4 * 8
    assert moved(PROGRAM) == 7 * 2 * array + 5 * array
    unknown = PROGRAM.replace('"known_trip_count"', '"other"')
    assert moved(unknown) == 2 * array + 5 * array
