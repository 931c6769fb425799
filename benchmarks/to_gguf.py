"""llama.cpp's converter for smaller models.

    python benchmarks/to_gguf.py LLAMA_CPP FOLDER --outfile OUT.gguf [--outtype f16] [--pre qwen2]

LLAMA_CPP is a checkout of llama.cpp; all further options are those of its convert_hf_to_gguf.py. The converter knows a
BPE tokenizer by the ids of a test text, which are others in a smaller vocabulary: `--pre` names the tokenizer instead,
as llama.cpp does. For Gemma 3 without tokenizer.model it writes the tokenizer that llama.cpp has for Gemma 4 (BPE with
bytes for unknown characters), and the layers with windows, which it otherwise takes to be five of six.
"""

import argparse
import json
import sys
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("llama_cpp", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pre", help="tokenizer.ggml.pre of the dense model's file")
    arguments, others = parser.parse_known_args()
    sys.path.insert(0, str(arguments.llama_cpp))
    import convert_hf_to_gguf as converter
    from conversion import base, gemma

    config = json.loads((arguments.folder / "config.json").read_text("utf-8"))
    gemma3, parameters = gemma.Gemma3Model, gemma.Gemma3Model.set_gguf_parameters

    def with_windows(self):
        parameters(self)
        windows = [kind == "sliding_attention" for kind in config["layer_types"]]
        self.gguf_writer.add_sliding_window_pattern(windows)

    if arguments.pre:
        base.TextModel.get_vocab_base_pre = lambda self, tokenizer: arguments.pre
    if not (arguments.folder / "tokenizer.model").is_file():
        gemma3.set_vocab = gemma.Gemma4Model.set_vocab
    if "layer_types" in config:
        gemma3.set_gguf_parameters = with_windows
    sys.argv = [converter.__file__, str(arguments.folder), *others]
    converter.main()


if __name__ == "__main__":
    main()
