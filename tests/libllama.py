"""llama.cpp itself, by the library in the wheel llama-cpp-py-sync: tokens and logits of a GGUF file."""

import contextlib
import ctypes
from pathlib import Path

import numpy as np

_F32 = 0  # ggml_type


@contextlib.contextmanager
def loaded(file: Path):
    """The library's model of a file."""
    from llama_cpp_py_sync._cffi_bindings import get_lib

    lib = get_lib()
    _quiet()
    lib.llama_backend_init()
    model = lib.llama_model_load_from_file(str(file).encode(), lib.llama_model_default_params())
    assert model, file
    yield model
    lib.llama_model_free(model)


def _quiet():
    from llama_cpp_py_sync._cffi_bindings import get_ffi, get_lib

    ffi = get_ffi()
    get_lib().llama_log_set(_silent(ffi), ffi.NULL)


_kept = []  # a callback lives as long as the library may call it


def _silent(ffi):
    if not _kept:
        _kept.append(ffi.callback("void(enum ggml_log_level, char *, void *)", lambda *_: None))
    return _kept[0]


def tokens(file: Path, text: str) -> list[int]:
    """The tokens of a text, with those that begin every text."""
    from llama_cpp_py_sync._cffi_bindings import get_ffi, get_lib

    ffi, lib, raw = get_ffi(), get_lib(), text.encode()
    with loaded(file) as model:
        vocab = lib.llama_model_get_vocab(model)
        out = ffi.new("llama_token[]", len(raw) + 8)
        count = lib.llama_tokenize(vocab, raw, len(raw), out, len(raw) + 8, True, False)
        return [out[i] for i in range(count)]


def logits(file: Path, ids: list[int]) -> np.ndarray:
    """float32 logits [tokens, vocabulary]; keys and values in float32, without flash attention."""
    from llama_cpp_py_sync._cffi_bindings import get_ffi, get_lib

    ffi, lib = get_ffi(), get_lib()
    with loaded(file) as model:
        params = lib.llama_context_default_params()
        params.type_k = params.type_v = _F32
        params.flash_attn_type = 0  # disabled
        params.n_ctx = params.n_batch = params.n_ubatch = max(64, len(ids))
        params.n_threads = params.n_threads_batch = 1
        context = lib.llama_init_from_model(model, params)
        batch = lib.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for place, number in enumerate(ids):
            batch.token[place], batch.pos[place], batch.logits[place] = number, place, 1
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
        assert lib.llama_decode(context, batch) == 0
        width = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
        rows = [
            np.frombuffer(
                ffi.buffer(lib.llama_get_logits_ith(context, place), 4 * width), np.float32
            )
            for place in range(len(ids))
        ]
        result = np.stack(rows).copy()
        lib.llama_batch_free(batch)
        lib.llama_free(context)
        return result


def quantized(weights: np.ndarray, kind: int, matrix: np.ndarray | None = None) -> np.ndarray:
    """The bytes [out, bytes] of llama.cpp's own quantization, optionally with an importance matrix."""
    import llama_cpp_py_sync

    library = Path(llama_cpp_py_sync.__file__).parent / "libggml-base.so.0"
    lib = ctypes.CDLL(str(library))
    lib.ggml_quantize_chunk.restype = ctypes.c_size_t
    pointer, size = ctypes.c_void_p, ctypes.c_int64
    lib.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, size, size, size, pointer]
    out = np.zeros(weights.size * 4, np.uint8)
    address = None if matrix is None else matrix.ctypes.data
    count = lib.ggml_quantize_chunk(
        int(kind), weights.ctypes.data, out.ctypes.data, 0, *weights.shape, address
    )
    return out[:count].reshape(len(weights), -1)


def quantized_file(source: Path, target: Path, matrix: dict[str, np.ndarray]) -> None:
    """llama.cpp's own file in Q4_0, with an importance matrix by the names of tensors; the embedding in Q8_0."""
    from llama_cpp_py_sync._cffi_bindings import get_ffi, get_lib

    ffi, lib = get_ffi(), get_lib()
    _quiet()
    params = lib.llama_model_quantize_default_params()
    params.ftype, params.token_embedding_type, params.output_tensor_type = 2, 8, 8
    params.pure, params.nthread = True, 1
    names = [ffi.new("char[]", name.encode()) for name in matrix]
    values = [ffi.new("float[]", array.tolist()) for array in matrix.values()]
    entries = ffi.new("struct llama_model_imatrix_data[]", len(names) + 1)
    for place, (name, array) in enumerate(zip(names, values, strict=True)):
        entries[place].name, entries[place].data, entries[place].size = name, array, len(array)
    params.imatrix = entries
    settings = ffi.new("struct llama_model_quantize_params *", params)
    assert lib.llama_model_quantize(str(source).encode(), str(target).encode(), settings) == 0
