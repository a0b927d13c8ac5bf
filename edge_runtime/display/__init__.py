"""The screen: a canvas to draw on, a present that shows it, and the figures that prove it was shown on time.

`display.open_display` is the door. pygame is imported by `surface` alone; nothing here draws a picture.
"""
