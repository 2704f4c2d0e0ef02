"""What scripts/open_eyes.py draws."""
