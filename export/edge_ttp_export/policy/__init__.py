"""Policies: any Hugging Face checkpoint to a quantized GGUF that was measured on this device."""
