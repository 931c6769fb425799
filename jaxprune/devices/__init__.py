"""Devices and processes: the mesh, the layout of arrays on it, exchange between hosts, and their joint end.

One CPU device per core, each with its own micro-batches. With `mesh.model` a block's kernels are split by columns and
gathered site by site; products keep their shapes, and so their bits. Each process computes on its own devices only,
on a contiguous share of the micro-batches; sums per sample are gathered after each segment, every process adds all of
them in the same order, and all write Orbax checkpoints. The process with the least free memory decides choices that
depend on memory, and the least capable CPU the dtype in which bfloat16 is multiplied.

**Joint failure.** A process that waits in a collective cannot be interrupted. A failed process writes its reason to
JAX's store at process 0; every process polls this store twice a second, and all end with that reason. If a process is
killed or stopped, JAX's heartbeat ends the others after 10 seconds. The thread that polls also receives signals, as
Python runs no handler during these waits.

**Compilation.** `compilation.py` keeps compiled programs in the user's cache. No library code calls it, so notebooks
keep their own settings. JAX's key contains the program, the compiler and its options, and the instructions of a CPU,
so programs compiled for one kind of CPU are never loaded on another.
"""
