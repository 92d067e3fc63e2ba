"""From a checkpoint and images to results, and to files of them."""
