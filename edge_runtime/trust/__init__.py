"""Trust: what tells people what they look at."""
