"""The parts of the simulator: people, actions, rooms, cameras and sensors."""
