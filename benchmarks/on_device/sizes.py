"""How much the steps compute. Lengths are tokens; a pair is the least and the most."""

FULL = {
    "text": 640,  # two of them, longer than Gemma 3's window of 512
    "places": 24,  # of a text, whose logits are compared
    "few_samples": 4,  # of `length`, for masks that the CPU makes as well
    "length": 512,
    "samples": 128,  # of `length`, for the speed of pruning
    "questions": 512,
    "options": 3,
    "premise": (40, 80),
    "hypothesis": (10, 30),
    "prompts": 64,
    "beginning": 192,  # that all prompts share
    "rest": (32, 64),
    "new": 64,
    "budget": 8.0,  # seconds of timed runs after the first
    "product": 8192,  # rows and columns of the matrices whose product is the measured rate
    "products": 8,
    "memory_bytes": 1 << 30,
    "link_bytes": 1 << 28,
}
SMALL = {
    "text": 40,
    "places": 8,
    "few_samples": 4,
    "length": 32,
    "samples": 8,
    "questions": 8,
    "options": 3,
    "premise": (8, 16),
    "hypothesis": (4, 8),
    "prompts": 8,
    "beginning": 24,
    "rest": (4, 8),
    "new": 8,
    "budget": 0.1,
    "product": 512,
    "products": 1,
    "memory_bytes": 1 << 24,
    "link_bytes": 1 << 24,
}
# Shapes of random weights: with --small, and without.
MODELS = {True: ("tiny-bloom", "tiny-gemma", "tiny-llama"),
          False: ("bloom-560m", "gemma-3-1b", "llama-3.2-1b")}  # fmt: skip
