"""Tables of trained captioners: one budget, several seeds, scores with intervals."""
