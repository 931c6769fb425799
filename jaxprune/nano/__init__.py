"""The bundled micro-models and the small world that they were trained on."""
