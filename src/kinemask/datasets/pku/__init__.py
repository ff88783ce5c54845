"""What is known of PKU-MMD I and II: labels, splits, instances."""
