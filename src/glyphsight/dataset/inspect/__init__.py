"""Looking at a dataset: what is wrong in it, what leaks, what it holds."""
