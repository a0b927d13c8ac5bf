"""What comes in: cameras, the sun and the clock, recordings. One file a kind; nothing here draws or decides."""
