"""A model and texts by language → a smaller ordinary model that is the same on these texts.

A smaller model is a `Model` before it is written: `hf/subset.py` reads some tokens and layers of another source, and
the writer copies it block by block. Neurons are chosen while blocks are written: `width.py` yields each block with
fewer neurons, after its inputs passed the narrow blocks below, with the dropped rows of its last kernel set to 0, so
that one program serves whole and narrow blocks.
"""
