"""Bodies, clips and batches of them, and the arithmetic of joints."""
