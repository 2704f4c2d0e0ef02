"""Write Llama models and their LoRA adapters as GGUF, the files of llama.cpp and Ollama."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glyphsight.errors import ModelError
from glyphsight.extras import need
from glyphsight.models.load import LoadedModel

_ARCHITECTURE = "llama"
# Splitting of a text before the merges, as `tokenizers` writes it, by llama.cpp's name for it.
_PRE_TOKENIZERS = {"smollm": [("Digits", True), ("ByteLevel", True)]}
_TYPES = {  # by name: of the layers, of the embeddings, of the file; as llama-quantize has them
    "f16": ("F16", "F16", "MOSTLY_F16"),
    "q8_0": ("Q8_0", "Q8_0", "MOSTLY_Q8_0"),
    "q6_k": ("Q6_K", "Q6_K", "MOSTLY_Q6_K"),
    "q5_k": ("Q5_K", "Q6_K", "MOSTLY_Q5_K_S"),
    "q4_k": ("Q4_K", "Q6_K", "MOSTLY_Q4_K_S"),
}
TYPES = tuple(_TYPES)  # types of weights in a GGUF, by name
_SHORT_ROWS = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}  # llama-quantize's, too
_SUPER_BLOCK = 256  # weights of a row that a k-quant rounds together
_ELSEWHERE = "export it --to merged and give that directory to llama.cpp's convert_hf_to_gguf.py"


def write_model(
    loaded: LoadedModel, tensors: Mapping[str, NDArray[np.float32]], kind: str, file: Path
) -> None:
    """Write a whole model with its tokenizer and chat template.

    Raises:
        ModelError: It is no plain Llama model, or a GGUF cannot describe its tokenizer.
        MissingPackageError: A k-quant needs xllamacpp.
    """
    import gguf

    config = _plain_llama(loaded)
    layers, embeddings, of_file = _TYPES[kind]
    writer = gguf.GGUFWriter(file, _ARCHITECTURE)
    writer.add_type("model")
    writer.add_name(Path(loaded.name).name)
    writer.add_file_type(gguf.LlamaFileType[of_file])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    size = config.head_dim or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(size)
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer, loaded, config.vocab_size)
    for name, weight in tensors.items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        wanted = embeddings if name.endswith(("embed_tokens.weight", "lm_head.weight")) else layers
        data, stored = _stored(_paired(name, weight, config), wanted)
        writer.add_tensor(_name(name, config), data, raw_dtype=stored)
    _finish(writer)


def write_adapter(loaded: LoadedModel, directory: Path, file: Path) -> None:
    """Write the LoRA adapter in a directory of PEFT, to be laid on the GGUF of its base.

    Raises:
        ModelError: The base is no plain Llama model, or the adapter is more than plain LoRA.
    """
    import gguf
    from safetensors.torch import load_file

    config = _plain_llama(loaded)
    settings = json.loads((directory / "adapter_config.json").read_text("utf-8"))
    odd = [key for key in ("alpha_pattern", "rank_pattern", "use_dora") if settings.get(key)]
    tensors = load_file(directory / "adapter_model.safetensors")
    odd += [name for name in tensors if not name.endswith(("lora_A.weight", "lora_B.weight"))]
    if odd:
        raise ModelError(f"{directory}: more than plain LoRA ({odd[0]}); export it --to merged")
    alpha = settings["lora_alpha"] * (settings["r"] ** 0.5 if settings.get("use_rslora") else 1)
    writer = gguf.GGUFWriter(file, _ARCHITECTURE)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(alpha))
    for name, tensor in tensors.items():
        layer, _, factor = name.removeprefix("base_model.model.").rpartition(".lora_")
        weight = tensor.float().numpy()
        if factor.startswith("B"):  # its rows are those of the layer
            weight = _paired(f"{layer}.weight", weight, config)
        at = f"{_name(f'{layer}.weight', config)}.lora_{factor[0].lower()}"
        writer.add_tensor(at, np.ascontiguousarray(weight, np.float32))
    _finish(writer)


def _finish(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _plain_llama(loaded: LoadedModel) -> Any:
    """Return the settings of a Llama model without additions."""
    config = loaded.model.config
    if (
        config.model_type != _ARCHITECTURE
        or config.rope_parameters["rope_type"] != "default"
        or config.attention_bias
        or config.mlp_bias
    ):
        raise ModelError(f"{loaded.name}: not a plain Llama model; {_ELSEWHERE}")
    return config


def _name(name: str, config: Any) -> str:
    """Return llama.cpp's name of a weight."""
    import gguf

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    found = names.get_name(name, try_suffixes=(".weight",))
    if found is None:
        raise ModelError(f"{name}: no weight of a plain Llama model; {_ELSEWHERE}")
    return str(found)


def _paired(name: str, weight: NDArray[Any], config: Any) -> NDArray[Any]:
    """Put the rows of queries and keys in pairs; transformers has them in halves of a head."""
    counts = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    if (heads := counts.get(name.split(".")[-2])) is None:
        return weight
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, weight.shape[1])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def _stored(weight: NDArray[np.float32], wanted: str) -> tuple[NDArray[Any], Any]:
    """Round a weight; return its bytes and their type. Norms, of one dimension, stay float32."""
    import gguf

    if weight.ndim == 1:
        return weight, gguf.GGMLQuantizationType.F32
    if weight.shape[1] % _SUPER_BLOCK:
        wanted = _SHORT_ROWS.get(wanted, wanted)
    kind = gguf.GGMLQuantizationType[wanted]
    if wanted == "F16":
        return weight.astype(np.float16), kind
    weight = np.ascontiguousarray(weight, dtype=np.float32)
    return (_k_quant if wanted.endswith("_K") else gguf.quantize)(weight, kind), kind


def _k_quant(weight: NDArray[np.float32], kind: Any) -> NDArray[np.uint8]:
    """Round a weight [rows, columns] by llama.cpp's own code, which `gguf` lacks for k-quants."""
    import gguf

    with need("export", "xllamacpp"):
        from xllamacpp import xllamacpp as native
    round_rows = ctypes.CDLL(native.__file__).ggml_quantize_chunk  # of ggml's public C interface
    round_rows.restype = ctypes.c_size_t
    wide = [ctypes.c_int64] * 3
    round_rows.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *wide, ctypes.c_void_p]
    rows, columns = weight.shape
    block, size = gguf.GGML_QUANT_SIZES[kind]
    found = np.empty((rows, columns // block * size), dtype=np.uint8)
    round_rows(int(kind), weight.ctypes.data, found.ctypes.data, 0, rows, columns, None)
    return found


def _add_tokenizer(writer: Any, loaded: LoadedModel, size: int) -> None:
    """Describe a byte-level BPE tokenizer; tokens that the model has and it lacks are unused."""
    import gguf

    backend = json.loads(loaded.tokenizer.backend_tokenizer.to_str())
    added = {one["id"]: one for one in backend["added_tokens"]}
    tokens = {**backend["model"].get("vocab", {}), **{a["content"]: i for i, a in added.items()}}
    by_id = {number: token for token, number in tokens.items()}
    kinds = {None: gguf.TokenType.NORMAL, True: gguf.TokenType.CONTROL}
    numbers = range(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_pre_tokenizer(loaded, backend))
    writer.add_token_list([by_id.get(number, f"[PAD{number}]") for number in numbers])
    writer.add_token_types(
        [
            kinds.get(added.get(number, {}).get("special"), gguf.TokenType.USER_DEFINED)
            if number in by_id
            else gguf.TokenType.UNUSED
            for number in numbers
        ]
    )
    writer.add_token_merges(
        [one if isinstance(one, str) else " ".join(one) for one in backend["model"]["merges"]]
    )
    for name in ("bos_token_id", "eos_token_id", "unk_token_id", "pad_token_id"):
        if (number := getattr(loaded.tokenizer, name)) is not None:
            getattr(writer, f"add_{name}")(number)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    if template := getattr(loaded.tokenizer, "chat_template", None):
        writer.add_chat_template(template)


def _pre_tokenizer(loaded: LoadedModel, backend: dict[str, Any]) -> str:
    """Return llama.cpp's name for the way that a tokenizer splits a text before the merges."""
    before = backend["pre_tokenizer"] or {}
    steps = [
        (one["type"], one.get("individual_digits", one.get("use_regex", True)))
        for one in before.get("pretokenizers", [before])
        if "type" in one
    ]
    for name, known in _PRE_TOKENIZERS.items():
        if steps == known and backend["model"]["type"] == "BPE":
            return name
    if backend["model"].get("byte_fallback"):  # nano's
        raise ModelError(
            f"{loaded.name}: its tokenizer splits rows of glyphs by a rule of its own, which a "
            "GGUF cannot hold; export it --to onnx"
        )
    raise ModelError(f"{loaded.name}: llama.cpp's name for its tokenizer is unknown; {_ELSEWHERE}")
