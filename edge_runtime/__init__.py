"""The runtime of an unattended box behind a screen: inputs and models in, a fullscreen picture out."""

__version__ = "0.1.0"
