"""What a model is asked: likelihoods, completions, how probabilities sharpen."""
