"""A script's process: the checks before its imports, and the one line and exit code at its end.

Imports neither JAX nor anything that does: their import is among what can go wrong.
"""

from jaxprune.process.ending import DEBUG as DEBUG
from jaxprune.process.ending import ending as ending
from jaxprune.process.ending import errors_in_one_line as errors_in_one_line
from jaxprune.process.ending import show_traceback as show_traceback
from jaxprune.process.start import starting as starting
