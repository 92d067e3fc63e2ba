"""A trained model as one graph, from raw images to results, for ONNX Runtime and torch.export."""
