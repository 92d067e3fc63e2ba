"""What a model gets wrong, and how: worst images, confusions, kinds of errors."""
