"""A model, languages and texts → the smallest model.gguf that still reads these languages, in one command.

Everything is done by the jobs of the other commands, in workdirs below `OUT/steps`: `shrink` keeps the tokens of the
texts and those that the model expects, `quantize` rounds to the grids of llama.cpp, `recover` fits what may be fitted,
`evaluate` measures. A finished step is not repeated, and a quantization or recovery resumes, so the whole does.
`tokens.py` predicts the loss of vocabularies, `steps.py` that of every choice of vocabulary and bits, from those
measured so far, and the best is the next to be measured. The losses that decide are measured on one part of the
held-out text, the table at the end on another. The chosen run then moves to `OUT`, which is a workdir like that of
`quantize`.
"""
