"""The parts of the Write screen."""
