"""The process of a command: its start before its imports, and its final line and exit code.

Imports neither JAX nor anything that imports it, as that import may fail.
"""

from jaxprune.base.process.ending import DEBUG as DEBUG
from jaxprune.base.process.ending import ending as ending
from jaxprune.base.process.ending import errors_in_one_line as errors_in_one_line
from jaxprune.base.process.ending import show_traceback as show_traceback
from jaxprune.base.process.start import cores as cores
from jaxprune.base.process.start import starting as starting
