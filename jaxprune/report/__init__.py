"""Names and numbers → charts, tables and pages; knows no model."""

from jaxprune.report.document import Charts as Charts
from jaxprune.report.document import Command as Command
from jaxprune.report.document import Facts as Facts
from jaxprune.report.document import Folded as Folded
from jaxprune.report.document import Note as Note
from jaxprune.report.document import Section as Section
from jaxprune.report.document import page as page
from jaxprune.report.document import write_page as write_page
