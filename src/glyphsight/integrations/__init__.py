"""Doors: plugins of tools that people run already, and the hub. Each module is one tool's."""
