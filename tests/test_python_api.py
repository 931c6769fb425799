"""What `import jaxprune` offers, where packages are missing that it does not need."""

import subprocess
import sys
from pathlib import Path

from missing import without

ROOT = Path(__file__).parents[1]
PROGRAM = """
import sys
import jaxprune as jp

assert all(hasattr(jp, name) for name in jp.__all__)
model = jp.load("jaxprune/nano/checkpoints/xglm")
batches = jp.demonstrations(model.tokenizer, "nano", samples=2, shots=1, max_length=32)
result = jp.prune(model, batches, sparsity=0.5, propagate="site", progress=False)
scores = jp.scores.wanda(model.params, jp.probe(model, batches, progress=False))
assert jp.masks.density(jp.masks.keep(scores, sparsity=0.5)).overall == 0.5
jp.checkpoint.save(f"{sys.argv[1]}/checkpoint", masks=result.masks)
restored = jp.checkpoint.restore(f"{sys.argv[1]}/checkpoint").masks
assert jp.masks.overlap(restored, result.masks).overall == 1
jp.export_hf(model, result.params, f"{sys.argv[1]}/hf")
assert jp.load(f"{sys.argv[1]}/hf").size == model.size
try:
    import ml_collections
except ModuleNotFoundError:
    print("done")
"""


def test_python_api_without_what_only_scripts_and_pictures_need(tmp_path):
    (tmp_path / "missing").mkdir()
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False,
        env=without(tmp_path / "missing", "ml_collections", "vl_convert"),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout == "done\n"
