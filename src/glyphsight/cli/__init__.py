"""The command line: one module a verb, each parsing, calling and printing, nothing more."""
