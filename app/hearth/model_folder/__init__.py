"""The on-disk format of a model: onnxruntime-genai's folder, read as untrusted input."""
