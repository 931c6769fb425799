"""Workdirs → one HTML page without network or script; evaluations → the model card."""

from jaxprune.runs.pages.results import comparison_lead as comparison_lead
from jaxprune.runs.pages.results import results_section as results_section
from jaxprune.runs.pages.write import FILE as FILE
from jaxprune.runs.pages.write import write_report as write_report
