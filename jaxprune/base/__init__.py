"""What every room needs and none of JAX: errors, rules for values, text, progress, files and workdirs."""
