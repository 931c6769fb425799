"""Workdirs → one HTML page without network or script; evaluations → the model card."""

from jaxprune.runs.pages.write import FILE as FILE
from jaxprune.runs.pages.write import write_report as write_report
