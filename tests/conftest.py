"""Shared helpers: tiny random torch models of every family, saved as Hugging Face folders."""

import functools
import gc
import itertools
import os
import pathlib
import re
import runpy
import shutil
import signal
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Threads that wait for each other by spinning would take the cores of the other workers.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Its compiler took most of the time of these tests. Scripts and processes that tests start inherit this, so bits are
# compared like with like. device_jobs.optimised() takes it back where what XLA's optimisations do is the question;
# `JAX_DISABLE_MOST_OPTIMIZATIONS=0 XLA_FLAGS= pytest` takes it back everywhere.
import quick_compiler  # noqa: F401, I001

import browser
import jax
import jaxtyping
import pytest
import transformers
import typechecker

# Before any test imports the package: its annotated functions check what they get and return.
typechecker.install("jaxprune")


@pytest.fixture(autouse=True)
def _checks(request):
    """No checks of types in tests that hand over what no annotation allows.

    These are the tests of what is refused, by their names, and those marked `wrong_types`.
    """
    marked = request.node.get_closest_marker("wrong_types") is not None
    is_off = marked or "refuse" in request.node.name
    jaxtyping.config.update("jaxtyping_disable", is_off)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def at_full_speed():
    """XLA's optimisations, for tests on real models."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(autouse=True, scope="module")
def _few_programs():
    """Unloads compiled programs after a file, if there are many: Linux allows a process 65,530 mapped regions."""
    yield
    maps = pathlib.Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 30_000:
        jax.clear_caches()


def pytest_addoption(parser):
    what = "tests and processes they start find a CPU with instructions for bfloat16 where this has none, or without"
    parser.addoption("--other-cpu", action="store_true", help=what)


def pytest_configure(config):
    """What several tests, workers or scripts compile is compiled once a session; what they start can be interrupted."""
    # A shell has what it starts in the background ignore SIGINT, and all that this starts in turn.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(
        config, "workerinput"
    ):  # workers inherit what is set here, before JAX is imported
        os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="compiled-")
        os.environ["XDG_CACHE_HOME"] = os.environ["JAX_COMPILATION_CACHE_DIR"]  # not the user's
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
        if config.getoption("--other-cpu"):
            _with_other_cpu(pathlib.Path(__file__).with_name("other_cpu"))


def _with_other_cpu(folder):
    """Here, and in every Python that is started."""
    runpy.run_path(str(folder / "sitecustomize.py"))
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))


STARTS = re.compile(r"subprocess|run_alone|on_eight_devices|in_a_process|chromium|s3_bucket")
QUICK = 2


@pytest.hookimpl(tryfirst=True)  # before -m is applied
def pytest_collection_modifyitems(items):
    """Marks as slow what `-m "not slow"` leaves out.

    Of each file the first tests are quick, each in its first case, unless the file starts processes, servers or a
    browser, or shares what a fixture makes, such as a run; of a room without any its first test is. The rest trains,
    compiles more, or has other cases.
    """
    tests, quick = {}, {}
    for item in items:
        cases = tests.setdefault(item.path, {})
        is_first_case = cases.setdefault(item.originalname, item) is item
        takes_long = starts_processes(item.path) or shares_fixtures(item.path)
        if is_first_case and len(cases) <= QUICK and not takes_long:
            quick.setdefault(item.path.parent, []).append(item)
    for item in items:
        quick.setdefault(item.path.parent, [item])
    chosen = set(itertools.chain(*quick.values()))
    for item in items:
        if item not in chosen:
            item.add_marker("slow")


@functools.cache
def starts_processes(file):
    return STARTS.search(file.read_text(encoding="utf-8")) is not None


def pytest_collection_finish(session):
    """What has been imported by now stays: the garbage collector need not look at it again and again, nor so often."""
    import torch  # not by the process that only hands out tests, which has nothing collected

    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Files whose tests share a fixture stay on one worker, which makes it once. They start first."""
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return file if shares_fixtures(config.rootpath / file) else nodeid

    return Scheduling(config, log)


@functools.cache
def shares_fixtures(file):
    return 'scope="module"' in file.read_text(encoding="utf-8")


# Small, odd where it can be: head counts that are no power of two, grouped heads, untied heads.
TINY = {
    "xglm": lambda: transformers.XGLMConfig(
        vocab_size=131, d_model=48, num_layers=3, attention_heads=4, ffn_dim=80,
        max_position_embeddings=64,
    ),
    "xglm-relu-unscaled": lambda: transformers.XGLMConfig(
        vocab_size=131, d_model=36, num_layers=2, attention_heads=3, ffn_dim=40,
        max_position_embeddings=64, scale_embedding=False, activation_function="relu", pad_token_id=5,
    ),
    "bloom": lambda: transformers.BloomConfig(vocab_size=131, hidden_size=48, n_layer=3, n_head=4),
    "bloom-6-heads": lambda: transformers.BloomConfig(
        vocab_size=131, hidden_size=48, n_layer=2, n_head=6
    ),
    "bloom-12-heads-post": lambda: transformers.BloomConfig(
        vocab_size=131, hidden_size=48, n_layer=2, n_head=12,
        apply_residual_connection_post_layernorm=True,
    ),
    "gpt2": lambda: transformers.GPT2Config(
        vocab_size=131, n_embd=48, n_layer=3, n_head=4, n_positions=64
    ),
    "gpt2-unscaled-inner": lambda: transformers.GPT2Config(
        vocab_size=131, n_embd=48, n_layer=2, n_head=3, n_positions=64, n_inner=72,
        scale_attn_weights=False, activation_function="relu", tie_word_embeddings=False,
    ),
    "llama": lambda: transformers.LlamaConfig(
        vocab_size=131, hidden_size=48, num_hidden_layers=3, num_attention_heads=6,
        num_key_value_heads=2, intermediate_size=80,
    ),
    "llama3-tied-biases": lambda: transformers.LlamaConfig(
        vocab_size=131, hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, intermediate_size=80, head_dim=16, tie_word_embeddings=True,
        attention_bias=True, mlp_bias=True,
        rope_parameters={
            "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
        },
    ),
    "qwen2": lambda: transformers.Qwen2Config(
        vocab_size=131, hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=80,
    ),
    "qwen3": lambda: transformers.Qwen3Config(
        vocab_size=131, hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=1, intermediate_size=80, head_dim=20, tie_word_embeddings=True,
    ),
    # windows shorter than the texts of tests; head_dim apart from d / N; caps that bend what is there
    "mistral": lambda: transformers.MistralConfig(
        vocab_size=131, hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=80, head_dim=16, sliding_window=7,
        max_position_embeddings=64, pad_token_id=0,
    ),
    "smollm3": lambda: transformers.SmolLM3Config(
        vocab_size=131, hidden_size=48, num_hidden_layers=3, num_attention_heads=6,
        num_key_value_heads=2, intermediate_size=80, no_rope_layer_interval=2,
        max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    ),
    "gemma2": lambda: transformers.Gemma2Config(
        vocab_size=131, hidden_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=80, head_dim=20, sliding_window=6,
        query_pre_attn_scalar=24, attn_logit_softcapping=2.0, final_logit_softcapping=5.0,
        max_position_embeddings=64,
    ),
    "gemma3": lambda: transformers.Gemma3TextConfig(
        vocab_size=131, hidden_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=1, intermediate_size=80, head_dim=20, sliding_window=9,
        query_pre_attn_scalar=24, max_position_embeddings=64, tie_word_embeddings=False,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
            "full_attention": {"rope_type": "linear", "rope_theta": 5000.0, "factor": 4.0},
        },
    ),
    "cohere": lambda: transformers.CohereConfig(
        vocab_size=131, hidden_size=48, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=2, intermediate_size=80, use_qk_norm=True, logit_scale=0.25,
        max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
    ),
    "cohere2": lambda: transformers.Cohere2Config(
        vocab_size=131, hidden_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=80, sliding_window=5, attention_bias=True,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
        max_position_embeddings=64, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False,
        logit_scale=2.0,
    ),
    "apertus": lambda: transformers.ApertusConfig(
        vocab_size=131, hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=80, max_position_embeddings=64, pad_token_id=0,
    ),
}  # fmt: skip


def seeing_config():
    """A tiny Gemma 3 with a vision tower, which is no member of TINY because only its text part is read."""
    text = TINY["gemma3"]()
    text.tie_word_embeddings = True
    return transformers.Gemma3Config(
        text_config=text.to_dict(), image_token_index=130, boi_token_index=1, eoi_token_index=2,
        mm_tokens_per_image=4,
        vision_config={
            "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
            "num_attention_heads": 2, "image_size": 28, "patch_size": 14,
        },
    )  # fmt: skip


def tiny_torch(name, seed=0):
    """A tiny torch model of TINY."""
    return random_torch(TINY[name](), seed)


def random_torch(config, seed=0):
    """A torch model with every parameter non-trivial: norms away from 1, biases away from 0."""
    import torch

    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for path, value in model.named_parameters():
            if value.ndim == 1:
                value.copy_(torch.randn_like(value) * 0.3 + (1.0 if "weight" in path else 0.0))
            else:
                value.copy_(torch.randn_like(value) * 0.15)
    return model


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """name → a folder with that tiny model, saved once."""
    made = {}

    def folder(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            tiny_torch(name).save_pretrained(made[name])
        return made[name]

    return folder


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    if browser.PROGRAM is None:
        reason = "no chromium on this machine: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    running = browser.Browser(tmp_path_factory.mktemp("profile"))
    yield running
    running.close()
