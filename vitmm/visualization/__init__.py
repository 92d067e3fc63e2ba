"""What a model looks at: feature maps, attention, Grad-CAM, principal components, drawn."""
