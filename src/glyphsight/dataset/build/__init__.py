"""Building a dataset: every picture looked at, assigned to a split and written, in parts."""
