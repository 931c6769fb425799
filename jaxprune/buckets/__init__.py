"""Workdirs in buckets: a local copy, which is uploaded as its files are finished.

`store` reads and writes objects below an address such as s3://bucket/runs/bloom, `ownership` keeps other runs away,
`mirror` uploads what is new in the local copy, and `workdir` puts these together.
"""

from jaxprune.buckets.store import check_address as check_address
from jaxprune.buckets.store import is_address as is_address
from jaxprune.buckets.workdir import downloaded as downloaded
from jaxprune.buckets.workdir import staged as staged
