"""The text of Kinect recordings, and from tracked bodies to persons."""
