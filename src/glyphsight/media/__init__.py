"""Files to arrays: pictures and sounds, and what each may be changed by."""
