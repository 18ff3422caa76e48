"""Makes the models edge_ttp runs: pools of candidates, reward training, ONNX export with its gates. Needs torch."""
