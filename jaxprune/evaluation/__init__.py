"""Zero-shot evaluation (section 5 of the paper): tasks, scoring, metrics."""
