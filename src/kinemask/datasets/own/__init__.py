"""The parts of own recordings: the section, labels, files and motion capture."""
