"""From a GGUF file to OpenVINO's own form of a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from antiphon.workers.chat.tokenizer import Unsupported

_MODEL = "openvino_model.xml"
_RAISED = 256.0
"""Added to every logit, which changes no probability: OpenVINO GenAI would reward where a penalty meets a
logit below zero."""


def convert(file: Path) -> None:
    """Write the model beside the file. Raises `Unsupported` if OpenVINO does not read it."""
    import openvino_genai

    try:
        openvino_genai.LLMPipeline(str(file), "CPU", enable_save_ov_model=True)
    except RuntimeError:
        # Its text tells of paths and of lines of its own source.
        raise Unsupported("OpenVINO does not read it") from None
    _raise_logits(file.parent / _MODEL)


def _raise_logits(path: Path) -> None:
    import openvino
    from openvino import opset13

    core = openvino.Core()
    model = core.read_model(path)
    [result] = model.get_results()
    logits = result.input_value(0)
    names = logits.get_names()
    # Directly behind the last product of matrices: there, the pipeline still finds the place where it drops
    # the tokens whose logits nobody wants.
    raised = opset13.add(logits, opset13.constant(np.float32(_RAISED))).output(0)
    result.input(0).replace_source_output(raised)
    raised.get_tensor().set_names(names)
    model.validate_nodes_and_infer_types()
    changed = path.with_name("raised.xml")
    openvino.save_model(model, changed, compress_to_fp16=False)
    del model, core  # which have the old files mapped
    for suffix in (".xml", ".bin"):
        changed.with_suffix(suffix).replace(path.with_suffix(suffix))
