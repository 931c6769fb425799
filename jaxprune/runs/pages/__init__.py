"""Workdirs → one HTML page without network or script; evaluations → the model card."""
