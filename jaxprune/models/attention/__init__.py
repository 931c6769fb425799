"""Queries, keys and values → causal attention, by the first path of `paths.PATHS` that supports it.

Attention never stores scores of all queries and keys. `paths.py` selects its path by platform, dtype and required
features; `--plan` and `report.json` report it. CPUs: a loop over (row, key head) in chunks of scores that fit a
core's cache. NVIDIA GPUs of compute capability 8.0 or newer, in bfloat16: cuDNN's flash attention. TPUs: the splash
kernel. Cases that these kernels do not support (float32 and capped scores on GPUs, trees and prefixes on both, wide
heads) are computed in chunks of keys by XLA. No kernel supports ALiBi; nine additional features of queries and keys
encode slope times position of a key, and their products are exact in bfloat16.
"""
