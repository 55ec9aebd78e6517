"""The model file: a .tflite flatbuffer read with bounds checked, and what speaks against running it."""
