"""A model and demonstrations by language → the largest features by layer, overlaps of masks, language neurons."""
