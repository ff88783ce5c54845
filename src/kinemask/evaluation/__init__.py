"""What frozen features are worth: probes, neighbours, metrics and their intervals."""
