"""The report, the comparison and their plots."""
