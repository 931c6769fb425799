"""Run by every Python that starts with this folder in PYTHONPATH: its CPU is of the other kind.

Without instructions for bfloat16 where this machine's has them, with them where it has none: /proc/cpuinfo, which the
package goes by, says so.
"""

import pathlib
import re

_read_text = pathlib.Path.read_text


def _of_other_cpu(path, *arguments, **how):
    text = _read_text(path, *arguments, **how)
    if str(path) != "/proc/cpuinfo":
        return text
    hidden = re.sub(r"\b(avx512_|amx_)?bf16\b", "", text)
    return hidden if hidden != text else re.sub(r"(?m)^(flags|Features)\s*:", r"\g<0> bf16", text)


pathlib.Path.read_text = _of_other_cpu
