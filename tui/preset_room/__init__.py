"""The parts of the Presets screen."""
