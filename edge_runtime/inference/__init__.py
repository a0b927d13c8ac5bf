"""Models: bundles, sessions that run them, tasks round them, and the worker that keeps them fed.

Only this room imports onnxruntime, and only `inference.onnx` in it.
"""
