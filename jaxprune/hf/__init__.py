"""Hugging Face folders and hub ids → models, read part by part; pruned parameters → Hugging Face folders.

**Reading.** Tensors are read at an offset into fresh memory, never through `mmap`: touched pages would count as
resident. Only the embedding rows of tokens that occur are read. The library `safetensors` checks a header before any
data is read; the offsets of tensors are read from it once. `.bin` files are zips whose pickle describes the tensors;
`torch_bin.py` unpickles it with a fixed list of a dozen names, which stand for storages and descriptions of tensors.
Any other name ends with an error, and nothing else can be called. Opening a model checks every name and shape both
ways. Tensors from any source are checked once for numbers that are not finite, by comparing their bits as integers.

**Writing.** Shapes and dtypes are known before the first block is pruned, so the files of an export begin with their
headers, and each tensor is written at its offset. An export of up to 5 GB is one `model.safetensors`, nothing is
written twice, and the embedding table is copied in pieces of 16 MiB.

**GGUF.** `gguf/` writes and reads files of llama.cpp by the library `gguf`, which maps names and dequantizes. Order of
heads, offsets of norms, fields and tokenizers are ours. Weights on a grid are packed as their rounding left them
(`models.grids.Quantized`), or those of a folder as `models/grids/solving.py` finds them again.

**Digests.** `fingerprint.py` hashes a file once and keeps the digest in the user's cache while inode and change time
are the same.
"""
