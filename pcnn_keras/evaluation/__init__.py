"""What a model is worth: measures, the classifier they lean on, the paper's figures."""
