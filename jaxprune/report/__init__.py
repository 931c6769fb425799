"""Names and numbers → charts, tables and pages; knows no model."""
