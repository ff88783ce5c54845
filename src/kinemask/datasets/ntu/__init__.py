"""What is known of NTU RGB+D 60 and 120, and what an archive holds of it."""
