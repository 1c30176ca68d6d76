"""What a data set tells about itself: bytes and frames in, decisions with their reasons out."""
