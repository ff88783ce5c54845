"""Kinemask: self-supervised recognition of human actions from 3D skeleton recordings."""
