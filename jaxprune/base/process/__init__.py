"""The process of a command: its start before its imports, and its final line and exit code.

Imports neither JAX nor anything that imports it, as that import may fail.
"""
