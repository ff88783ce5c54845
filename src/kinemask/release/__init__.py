"""An encoder for others: its file with a model card, and features of recordings made with such a file."""
