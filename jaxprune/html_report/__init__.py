"""Workdirs → one HTML page without network or script; evaluations → the model card."""

from jaxprune.html_report.markup import Markup as Markup
from jaxprune.html_report.markup import join as join
from jaxprune.html_report.markup import note as note
from jaxprune.html_report.markup import tag as tag
from jaxprune.html_report.page import Section as Section
from jaxprune.html_report.page import charts_row as charts_row
from jaxprune.html_report.page import fact_list as fact_list
from jaxprune.html_report.page import page as page
from jaxprune.html_report.page import write_page as write_page
from jaxprune.html_report.tables import table as table
from jaxprune.html_report.verdicts import verdict_mark as verdict_mark
from jaxprune.html_report.write import FILE as FILE
from jaxprune.html_report.write import write_report as write_report
