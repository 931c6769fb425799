"""Workdirs in buckets: a local copy, which is uploaded as its files are finished.

`ownership` keeps other runs away, `mirror` uploads new files of the local copy, and `workdir` puts these together.
"""
