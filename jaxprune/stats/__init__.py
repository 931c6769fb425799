"""A model's blocks and batches → statistics of every site's features, with one block on the devices at a time."""
