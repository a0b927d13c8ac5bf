"""The way in from outside: MQTT, the local socket, and what is told back.

The one room that imports paho. It knows nothing of pictures or models: commands leave it typed, values leave it
through the signal board.
"""
