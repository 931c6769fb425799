"""Workdirs → one HTML page without network or script; evaluations → the model card."""

from jaxprune.html_report.document import Charts as Charts
from jaxprune.html_report.document import Command as Command
from jaxprune.html_report.document import Facts as Facts
from jaxprune.html_report.document import Folded as Folded
from jaxprune.html_report.document import Note as Note
from jaxprune.html_report.document import Section as Section
from jaxprune.html_report.document import page as page
from jaxprune.html_report.document import write_page as write_page
from jaxprune.html_report.results import comparison_lead as comparison_lead
from jaxprune.html_report.results import results_section as results_section
from jaxprune.html_report.write import FILE as FILE
from jaxprune.html_report.write import write_report as write_report
