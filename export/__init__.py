"""Makes the bundles in models/: fetch, distil, export, quantise, verify, pack. Run as `python -m export`.

Runs on a developer's machine. The only place that imports torch; the runtime never imports this package.
"""
