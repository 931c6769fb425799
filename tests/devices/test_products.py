"""In which dtype devices multiply: by the CPU's flags as Linux writes them, and alike in all processes."""

import jax
import pytest

from jaxprune.devices import hosts, products
from jaxprune.devices.products import product_dtype

X86 = "processor\t: 0\nmodel name\t: bf16 avx512_bf16\nflags\t\t: fpu avx2 avx512f {}\nbugs\t\t: amx_bf16\n"
INTEL, AMD = "vendor_id\t: GenuineIntel\n", "vendor_id\t: AuthenticAMD\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {}\nCPU part\t: 0xd40\n"


@pytest.mark.parametrize(
    ("text", "multiplies"),
    [
        (X86.format("avx512_bf16 avx512_vnni"), True),
        (X86.format("amx_bf16 amx_tile"), True),
        (INTEL + X86.format("avx512_bf16 amx_bf16 amx_tile"), True),
        (INTEL + X86.format("avx512_bf16 avx512_vnni"), False),
        (AMD + X86.format("avx512_bf16 avx512_vnni"), True),
        (X86.format("avx512_vnni"), False),
        (X86.format("avx512_bf16x"), False),
        (ARM.format("i8mm bf16"), True),
        (ARM.format("i8mm svebf16"), False),
        ("processor\t: 0\n", False),
        (None, False),  # no Linux
    ],
)
def test_the_flags_of_the_cpu_decide(text, multiplies, tmp_path):
    if text is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc" / "cpuinfo").write_text(text)
    assert products.cpu_prefers_bfloat16(tmp_path) is multiplies


@pytest.fixture
def _asked_anew():
    products._every_process_prefers_bfloat16.cache_clear()
    yield
    products._every_process_prefers_bfloat16.cache_clear()


@pytest.mark.usefixtures("_asked_anew")
@pytest.mark.parametrize(
    ("backend", "here", "others", "dtype"),
    [
        ("cpu", True, True, "bfloat16"),
        ("cpu", False, True, "float32"),
        ("cpu", True, False, "float32"),
        ("tpu", False, True, "bfloat16"),  # what the host's CPU has does not matter
    ],
)
def test_one_process_that_cannot_decides_for_all(backend, here, others, dtype, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(products, "cpu_prefers_bfloat16", lambda: here)
    asked = []
    monkeypatch.setattr(hosts, "any_of", lambda flag: asked.append(flag) or flag or not others)
    assert product_dtype("float32") == "float32"
    # asked for float32 too, so that processes of different dtypes, which are refused, do not wait for each other
    assert len(asked) == 1
    assert product_dtype("bfloat16") == dtype
    assert len(asked) == 1
