"""The parts of the GPU screen."""
