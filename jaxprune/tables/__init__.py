"""Numbers as text, and rows of text as tables: for a terminal, Markdown and CSV. Knows nothing of what they mean."""

from jaxprune.tables.lines import JOINED as JOINED
from jaxprune.tables.lines import Group as Group
from jaxprune.tables.lines import TextTable as TextTable
from jaxprune.tables.lines import as_code as as_code
from jaxprune.tables.lines import columns as columns
from jaxprune.tables.lines import csv_text as csv_text
from jaxprune.tables.lines import grouped_columns as grouped_columns
from jaxprune.tables.lines import named_values as named_values
from jaxprune.tables.lines import pipes as pipes
from jaxprune.tables.lines import wrapped as wrapped
from jaxprune.tables.numbers import NONE as NONE
from jaxprune.tables.numbers import byte_size as byte_size
from jaxprune.tables.numbers import count as count
from jaxprune.tables.numbers import count_range as count_range
from jaxprune.tables.numbers import fraction as fraction
from jaxprune.tables.numbers import interval as interval
from jaxprune.tables.numbers import number as number
from jaxprune.tables.numbers import p_value as p_value
from jaxprune.tables.numbers import percent as percent
from jaxprune.tables.numbers import point_interval as point_interval
from jaxprune.tables.numbers import points as points
from jaxprune.tables.numbers import seconds as seconds
from jaxprune.tables.numbers import signed as signed
from jaxprune.tables.numbers import tenths as tenths
from jaxprune.tables.numbers import times as times
from jaxprune.tables.numbers import whole as whole
