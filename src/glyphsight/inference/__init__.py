"""A model that is asked: forward passes, log-likelihoods, free writing, pictures."""
