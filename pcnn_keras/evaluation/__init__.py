"""What a model is worth: measures, the classifier they lean on, tables and figures."""
