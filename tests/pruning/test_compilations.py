"""How many programs a run compiles: some for each length of samples, whatever the number of layers and samples."""

import pytest
from compiling import compiling
from device_jobs import batch, xglm_shaped

import jaxprune as jp
from jaxprune.devices.sharding import device_mesh
from jaxprune.pruning.criterion import key_of_seed

# For every length: embedding, check of a block's input, segments of a block. Once: selection, and dropping, for the
# kernels of each step.
PROGRAMS = {
    "block": 2 * (1 + 1 + 2) + 1 + 1,
    "site": 2 * (1 + 1 + 5) + 4 + 4,
    "dense": 2 * (1 + 1 + 1) + 1 + 1,
}


@pytest.mark.parametrize("propagate", PROGRAMS)
def test_a_run_compiles_so_many_programs(propagate):
    key_of_seed(0)  # whose programs all runs of a process share
    # of sizes that no other test has, which would leave programs
    width = 76 + 8 * [*PROGRAMS].index(propagate)
    model = xglm_shaped(3, width, 92)

    def programs(rows):
        batches = [
            batch("translation", rows, length, model.config.vocab_size, length)
            for length in (16, 32)
        ]
        with compiling() as counted:
            jp.prune(model, batches, mesh=device_mesh(1), propagate=propagate, progress=False)
        return counted.programs

    assert programs(5) == PROGRAMS[propagate]
    assert programs(8) == 0
